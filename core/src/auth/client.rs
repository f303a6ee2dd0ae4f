//! Answering challenges (RFC 3261 §22, RFC 7616 §3.4, RFC 8760 §2.4).

use core::fmt::{self, Write as _};

use super::algorithm::{self, Request};
use super::challenge::{Asker, Challenge};
use super::params::{Params, Quoted};
use crate::host::Host;
use crate::quoted;

/// The most realms that are remembered at once; the oldest is forgotten.
const MAX_SESSIONS: usize = 8;
/// How often one request is sent again with credentials for one realm: once, and once more for a
/// stale nonce.
const MAX_ROUNDS: u8 = 2;

/// A header field with credentials, to be put into a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Authorization {
    /// For whom: says the field's name, [`Asker::credentials_field`].
    pub asker: Asker,
    /// The field's value.
    pub value: String,
}

/// What one request has tried so far: kept by its sender beside the request, from the first sending
/// to the final response, through every challenge. A new request starts with the default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds(Vec<Round>);

/// What a request has tried in one realm.
#[derive(Clone, Debug)]
struct Round {
    asker: Asker,
    realm: String,
    /// The nonce of the credentials that were sent last.
    nonce: String,
    /// How often they were sent with this nonce.
    uses: u8,
    /// How many challenges were answered.
    answers: u8,
}

/// Why a challenge was not answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// There are no credentials that may be shown there.
    #[error("there are no credentials for the realm {}", quoted::Quoted(.realm))]
    NoCredentials {
        /// The realm.
        realm: String,
    },
    /// No challenge, or none that is understood.
    #[error("the server asks for credentials in no way that is understood")]
    NoChallenge,
    /// Credentials were sent and refused.
    #[error("the server refuses the credentials for the realm {}", quoted::Quoted(.realm))]
    Rejected {
        /// The realm.
        realm: String,
    },
}

/// Answers challenges: remembers nonces and counts their uses. One may serve a whole phone, for the
/// requests that go to its server and nowhere else.
#[derive(Clone)]
pub(crate) struct DigestClient {
    sessions: Vec<Session>,
    allow_md5: bool,
}

/// An authentication session: from a challenge to the next (RFC 7616 §3.6).
#[derive(Clone)]
struct Session {
    asker: Asker,
    challenge: Challenge,
    username: String,
    password: String,
    /// The Request-URI of the first request.
    uri: String,
    /// How many requests were sent with the nonce.
    count: u32,
    /// The client's nonce, made for the first request. It stays for the whole session, so that a
    /// server finds the session key (§3.4.2) whether it remembers it or not.
    cnonce: String,
    /// H(A1), once it is known.
    secret: String,
}

impl DigestClient {
    /// A client that knows no nonce yet. `allow_md5` says whether it answers challenges whose
    /// algorithm is MD5 where nothing stronger is offered.
    pub(crate) fn new(allow_md5: bool) -> Self {
        Self { sessions: Vec::new(), allow_md5 }
    }

    /// Takes the challenges of a 401 or 407: `fields` are the values of every
    /// [`Asker::challenge_field`]. `credentials` says the name and password for a realm, or `None`
    /// where they may not be shown ([`super::RealmPin`]).
    ///
    /// In each realm the strongest algorithm that is known is taken, of equals the topmost (RFC 8760
    /// §2.4). After `Ok` the request goes out once more (RFC 3261 §22.2: with the next CSeq number)
    /// with what [`authorize`](Self::authorize) gives.
    ///
    /// # Errors
    /// When there is nothing to try, or nothing new: credentials that were refused are not sent
    /// again, unless the nonce alone was stale (RFC 3261 §22.1).
    pub(crate) fn handle_challenge<'a>(
        &mut self,
        rounds: &mut Rounds,
        asker: Asker,
        fields: impl IntoIterator<Item = &'a str>,
        mut credentials: impl FnMut(&str) -> Option<(String, String)>,
    ) -> Result<(), AuthError> {
        let mut result = Err(AuthError::NoChallenge);
        for challenge in self.best(fields) {
            let realm = challenge.realm.clone();
            let Some((username, password)) = credentials(&realm) else {
                result = result.or(Err(AuthError::NoCredentials { realm }));
                continue;
            };
            let round = rounds.of(asker, &realm);
            if round.is_exhausted(&challenge) {
                self.sessions.retain(|session| !session.is_for(asker, &realm));
                return Err(AuthError::Rejected { realm });
            }
            round.answers = round.answers.saturating_add(1);
            self.begin(Session {
                asker,
                challenge,
                username,
                password,
                uri: String::new(),
                count: 0,
                cnonce: String::new(),
                secret: String::new(),
            });
            result = Ok(());
        }
        result
    }

    /// The credentials to put into a request, one for each realm that has asked; nothing before the
    /// first challenge. `method`, `uri` (the Request-URI) and `body` are those of the request.
    ///
    /// A proxy that has challenged once gets credentials unasked from then on (RFC 3261 §22.3). A
    /// server gets credentials unasked only for the URI for which it has asked, as a registrar is (§22.2): a proxy
    /// passes the field on, so that otherwise the callee would be given a hash of the
    /// password.
    pub(crate) fn authorize(
        &mut self,
        host: &mut dyn Host,
        rounds: &mut Rounds,
        method: &str,
        uri: &str,
        body: &[u8],
    ) -> Vec<Authorization> {
        // A count that cannot rise ends the session; the server will challenge anew.
        self.sessions.retain(|session| session.count < u32::MAX);
        let mut fields = Vec::new();
        for session in &mut self.sessions {
            let Session { asker, challenge, .. } = &*session;
            let round = rounds.of(*asker, &challenge.realm);
            if *asker == Asker::Proxy || round.answers > 0 || session.uri == uri {
                round.note(&challenge.nonce);
                let value = session.answer(host, method, uri, body);
                fields.push(Authorization { asker: session.asker, value });
            }
        }
        fields
    }

    /// Takes the [`Asker::info_field`] of a success: the nonce to use next (RFC 7616 §3.5). The
    /// session, and with it a session key, goes on.
    pub(crate) fn handle_info(&mut self, asker: Asker, value: &str) {
        let params = Params::of_info(value);
        let Some(nonce) = params.value("nextnonce").filter(|nonce| !nonce.is_empty()) else {
            return;
        };
        // The field names no realm, so it can only speak for one.
        let mut sessions = self.sessions.iter_mut().filter(|session| session.asker == asker);
        if let (Some(session), None) = (sessions.next(), sessions.next())
            && session.challenge.nonce != nonce
        {
            session.challenge.nonce = nonce.to_owned();
            session.count = 0;
        }
    }

    /// The best challenge of each realm, in the order of the realms.
    fn best<'a>(&self, fields: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
        let mut best: Vec<Challenge> = Vec::new();
        for challenge in fields.into_iter().flat_map(Challenge::parse) {
            let strength = challenge.algorithm.strength();
            if strength == 0 && !self.allow_md5 {
                continue;
            }
            match best.iter_mut().find(|known| known.realm == challenge.realm) {
                Some(known) if strength > known.algorithm.strength() => *known = challenge,
                Some(_) => {}
                None => {
                    if best.len() < MAX_SESSIONS {
                        best.push(challenge);
                    }
                }
            }
        }
        best
    }

    fn begin(&mut self, mut session: Session) {
        let old = |old: &Session| old.is_for(session.asker, &session.challenge.realm);
        if let Some(old) =
            self.sessions.iter().position(old).map(|index| self.sessions.remove(index))
            && old.challenge.nonce == session.challenge.nonce
        {
            // The same nonce again: its uses are counted on (§3.4).
            (session.count, session.cnonce) = (old.count, old.cnonce);
        }
        if self.sessions.len() >= MAX_SESSIONS {
            self.sessions.remove(0);
        }
        self.sessions.push(session);
    }
}

impl fmt::Debug for DigestClient {
    /// Says the realms; passwords stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.sessions.iter().map(|s| &s.challenge.realm)).finish()
    }
}

impl Rounds {
    fn of(&mut self, asker: Asker, realm: &str) -> &mut Round {
        let known = self.0.iter().position(|round| round.asker == asker && round.realm == realm);
        let index = known.unwrap_or_else(|| {
            let (realm, nonce) = (realm.to_owned(), String::new());
            self.0.push(Round { asker, realm, nonce, uses: 0, answers: 0 });
            self.0.len().saturating_sub(1)
        });
        &mut self.0[index]
    }
}

impl Round {
    /// Credentials go out with this nonce.
    fn note(&mut self, nonce: &str) {
        if self.nonce != nonce {
            nonce.clone_into(&mut self.nonce);
            self.uses = 0;
        }
        self.uses = self.uses.saturating_add(1);
    }

    /// Whether answering this challenge would repeat what was refused. A first challenge is
    /// answered even when a remembered nonce was tried; after that only a stale one is.
    fn is_exhausted(&self, challenge: &Challenge) -> bool {
        self.answers >= MAX_ROUNDS
            || (self.answers > 0 && !challenge.stale)
            || (self.uses >= MAX_ROUNDS && self.nonce == challenge.nonce)
    }
}

impl Session {
    fn is_for(&self, asker: Asker, realm: &str) -> bool {
        self.asker == asker && self.challenge.realm == realm
    }

    /// The value of the field that answers (RFC 7616 §3.4).
    fn answer(&mut self, host: &mut dyn Host, method: &str, uri: &str, body: &[u8]) -> String {
        let Challenge { realm, nonce, opaque, algorithm, names_algorithm, qop, userhash, .. } =
            &self.challenge;
        if self.uri.is_empty() {
            uri.clone_into(&mut self.uri);
        }
        if self.cnonce.is_empty() {
            let mut random = [0; 16];
            host.fill(&mut random);
            self.cnonce = algorithm::hexadecimal(&random);
        }
        if self.secret.is_empty() {
            let nonces = (nonce.as_str(), self.cnonce.as_str());
            self.secret =
                algorithm::secret(*algorithm, &self.username, realm, &self.password, nonces);
        }
        self.count = self.count.saturating_add(1);
        let count = format!("{:08x}", self.count);
        let protection = qop.map(|qop| (qop, count.as_str(), self.cnonce.as_str()));
        let request = Request { nonce, method, uri, body, protection };
        let response = algorithm::response(*algorithm, &self.secret, &request);
        let hashed =
            userhash.then(|| algorithm::hashed_username(*algorithm, &self.username, realm));
        let username = hashed.as_deref().unwrap_or(&self.username);
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            Quoted(username),
            Quoted(realm),
            Quoted(nonce),
            Quoted(uri),
        );
        // Writing to a String does not fail. Which are quoted: RFC 7616 §3.4.
        if *names_algorithm {
            let _ = write!(value, ", algorithm={algorithm}");
        }
        if let Some((qop, count, cnonce)) = protection {
            let _ = write!(value, ", qop={qop}, nc={count}, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = opaque {
            let _ = write!(value, ", opaque={}", Quoted(opaque));
        }
        if *userhash {
            value.push_str(", userhash=true");
        }
        value
    }
}
