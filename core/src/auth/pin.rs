//! To whom credentials may be shown.

/// The one realm in which a phone answers challenges: the defence against the SIP digest leak, where
/// a callee challenges the caller's BYE to learn a hash of its password.
///
/// Only the configured server or proxy is ever answered, and only in the realm that was configured
/// or, without one, that of the server's first challenge. A later realm is refused whatever the
/// method.
#[derive(Clone, Debug, Default)]
pub(crate) struct RealmPin {
    realm: Option<String>,
}

impl RealmPin {
    /// A pin on `realm`; with `None`, on that of the server's first challenge.
    pub(crate) fn new(realm: Option<&str>) -> Self {
        Self { realm: realm.map(str::to_owned) }
    }

    /// Whether a challenge in `realm` may be answered. `from_server` says whether the response that
    /// carries it came from the configured server or proxy; a direct peer is never answered.
    pub(crate) fn admits(&mut self, from_server: bool, realm: &str) -> bool {
        from_server && self.realm.get_or_insert_with(|| realm.to_owned()) == realm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_realm_of_the_server_is_kept() {
        let mut pin = RealmPin::default();
        assert!(!pin.admits(false, "attacker"), "a direct peer is never answered");
        assert_eq!(pin.realm.as_deref(), None, "nor does it set the pin");
        assert!(pin.admits(true, "pbx"));
        assert!(pin.admits(true, "pbx"));
        assert!(!pin.admits(true, "attacker"));
        assert!(!pin.admits(false, "pbx"), "a direct peer that knows the realm is not answered");
        assert_eq!(pin.realm.as_deref(), Some("pbx"));
    }

    #[test]
    fn a_configured_realm_refuses_the_first_challenge_too() {
        let mut pin = RealmPin::new(Some("pbx"));
        assert!(!pin.admits(true, "PBX"), "a realm is compared byte for byte");
        assert!(pin.admits(true, "pbx"));
    }
}
