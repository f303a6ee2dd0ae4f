//! Names and passwords.

use core::fmt;

/// Names and passwords, by server, realm and user (pyVoIP's CredentialsManager).
#[derive(Clone, Default)]
pub struct CredentialsManager {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    username: String,
    password: String,
    server: Option<String>,
    realm: Option<String>,
    user: Option<String>,
}

impl CredentialsManager {
    /// Adds a name and password for a server (a host name or address as the phone was given it), a
    /// realm and a user (of the phone's own URI); `None` matches anything. The last one added for
    /// the same three wins.
    pub fn add(
        &mut self,
        username: &str,
        password: &str,
        server: Option<&str>,
        realm: Option<&str>,
        user: Option<&str>,
    ) {
        let entry = Entry {
            username: username.to_owned(),
            password: password.to_owned(),
            server: server.map(str::to_ascii_lowercase),
            realm: realm.map(str::to_owned),
            user: user.map(str::to_owned),
        };
        self.entries.retain(|old| old.key() != entry.key());
        self.entries.push(entry);
    }

    /// The name and password for this server, realm and user: the most specific entry, where an
    /// exact server counts more than an exact realm, and that more than an exact user. pyVoIP tries
    /// ("anonymous", "") when there is none; here a challenge that nobody has a password for is not
    /// answered, unless that very entry was added.
    pub fn find(&self, server: &str, realm: &str, user: &str) -> Option<(&str, &str)> {
        let server = server.to_ascii_lowercase();
        self.entries
            .iter()
            .filter(|entry| {
                let matches = |wanted: &Option<String>, given: &str| {
                    wanted.as_deref().is_none_or(|wanted| wanted == given)
                };
                matches(&entry.server, &server)
                    && matches(&entry.realm, realm)
                    && matches(&entry.user, user)
            })
            .max_by_key(|e| (e.server.is_some(), e.realm.is_some(), e.user.is_some()))
            .map(|entry| (entry.username.as_str(), entry.password.as_str()))
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    fn key(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        (self.server.as_deref(), self.realm.as_deref(), self.user.as_deref())
    }
}

impl fmt::Debug for CredentialsManager {
    /// Says how many there are; passwords stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialsManager({} entries)", self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_wins_with_backtracking() {
        let mut manager = CredentialsManager::default();
        manager.add("any", "1", None, None, None);
        manager.add("realm", "2", None, Some("r"), None);
        manager.add("server", "3", Some("PBX.example"), None, Some("bob"));
        manager.add("both", "4", Some("pbx.example"), Some("r"), Some("alice"));
        let name = |server, realm, user| manager.find(server, realm, user).unwrap().0;
        assert_eq!(name("pbx.example", "r", "alice"), "both");
        // An exact server whose realm fits, but whose user does not, is left again.
        assert_eq!(name("pbx.example", "r", "bob"), "server");
        assert_eq!(name("pbx.example", "r", "carol"), "realm");
        assert_eq!(name("other", "r", "alice"), "realm");
        assert_eq!(name("other", "q", "alice"), "any");
    }

    #[test]
    fn the_last_added_wins_and_none_is_none() {
        let mut manager = CredentialsManager::default();
        assert_eq!(manager.find("s", "r", "u"), None);
        manager.add("a", "old", Some("s"), None, None);
        manager.add("a", "new", Some("S"), None, None);
        assert_eq!(manager.find("s", "r", "u"), Some(("a", "new")));
        assert_eq!(manager.find("t", "r", "u"), None);
        assert!(!format!("{manager:?}").contains("new"));
    }
}
