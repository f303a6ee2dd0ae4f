//! Tokens: JSON Web Tokens (RFC 7519) that say who a client is and what it may do.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use offhook_core::relay::{Allowance, Grant, LARGEST_TOKEN, Problem, Server};
use offhook_core::time::WallTime;
use serde_json::{Map, Value, json};

use super::keys::{TokenKey, TokenKeys};

/// How long a token may be good from now on. One that is good for longer is a password.
const LONGEST: u64 = 600;
/// How far the clocks of relay and back end may be apart, in seconds.
const SKEW: u64 = 30;
/// The most servers of a token.
const MOST_SERVERS: usize = 16;

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TokenClaims {
    /// `sub`: who the client is.
    pub subject: String,
    /// `aud`: the relay that it is for.
    pub audience: String,
    /// `sip`: the SIP servers that it may use.
    pub servers: Vec<Server>,
    /// `calls`: how many calls at a time, of two pairs of ports each, for those that are transferred.
    pub calls: Option<u64>,
    /// From now on until `exp`.
    pub valid: Duration,
}

impl TokenClaims {
    /// Claims for ten minutes, the longest that a relay takes.
    pub fn new(subject: &str, audience: &str) -> Self {
        let (subject, audience) = (subject.to_owned(), audience.to_owned());
        let valid = Duration::from_secs(LONGEST);
        Self { subject, audience, servers: Vec::new(), calls: None, valid }
    }

    /// The token that says so, signed by that key at the time `now`; `None` when the key makes none.
    pub fn sign(&self, key: &TokenKey, kid: Option<&str>, now: WallTime) -> Option<String> {
        let now = seconds(now);
        let mut head = json!({ "alg": key.algorithm(), "typ": "JWT" });
        if let Some(kid) = kid {
            head["kid"] = json!(kid);
        }
        let servers: Vec<_> = self.servers.iter().map(Server::to_string).collect();
        let mut claims = json!({
            "sub": self.subject, "aud": self.audience, "sip": servers,
            "iat": now, "exp": now + self.valid.as_secs(),
        });
        if let Some(calls) = self.calls {
            claims["calls"] = json!(calls);
        }
        let encode = |value: Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let message = format!("{}.{}", encode(head), encode(claims));
        let signature = Base64UrlUnpadded::encode_string(&key.sign(message.as_bytes())?);
        Some(format!("{message}.{signature}"))
    }
}

impl TokenKeys {
    /// What a token grants at the time `now`.
    ///
    /// # Errors
    /// [`Problem::TokenExpired`], and [`Problem::TokenInvalid`] for everything else: a forger learns nothing.
    pub(super) fn verify(&self, token: &str, now: WallTime) -> Result<Grant, Problem> {
        self.read(token, seconds(now)).unwrap_or(Err(Problem::TokenInvalid))
    }

    fn read(&self, token: &str, now: u64) -> Option<Result<Grant, Problem>> {
        if token.len() > LARGEST_TOKEN {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (head, claims) = message.split_once('.')?;
        let head = object(head)?;
        let algorithm = head.get("alg")?.as_str()?;
        let kid = head.get("kid").map(Value::as_str);
        let signature = Base64UrlUnpadded::decode_vec(signature).ok()?;
        // RFC 7515 §4.1.11: extensions that must be understood, and none is.
        if head.contains_key("crit") || kid == Some(None) {
            return None;
        }
        let kid = kid.flatten();
        // The algorithm is the key's; "none" and a public key as a secret lead nowhere (RFC 8725 §2.1).
        let verified = self.keys.iter().any(|(name, key)| {
            key.algorithm() == algorithm
                && (kid.is_none() || name.is_none() || kid == name.as_deref())
                && key.verifies(message.as_bytes(), &signature)
        });
        if !verified {
            return None;
        }
        self.grant(&object(claims)?, now)
    }

    fn grant(&self, claims: &Map<String, Value>, now: u64) -> Option<Result<Grant, Problem>> {
        let ours = |audience: &Value| audience.as_str() == Some(&self.audience);
        let audience = claims.get("aud")?;
        if !ours(audience) && !audience.as_array()?.iter().any(ours) {
            return None;
        }
        let expires = whole(claims.get("exp")?)?;
        let begins = claims.get("nbf").map_or(Some(0), whole)?;
        if expires.saturating_add(SKEW) <= now {
            return Some(Err(Problem::TokenExpired));
        }
        if expires > now + LONGEST + SKEW || begins > now + SKEW {
            return None;
        }
        let mut grant = Grant::default();
        claims.get("sub")?.as_str()?.clone_into(&mut grant.subject);
        let servers = claims.get("sip")?.as_array()?;
        if servers.len() > MOST_SERVERS || grant.subject.is_empty() {
            return None;
        }
        for server in servers {
            grant.servers.push(server.as_str()?.parse().ok()?);
        }
        grant.allowance = allowance(claims)?;
        grant.expires = WallTime::from_micros((expires + SKEW) * 1_000_000);
        Some(Ok(grant))
    }
}

/// How much of everything; what a token does not say is the relay's.
fn allowance(claims: &Map<String, Value>) -> Option<Allowance> {
    let claim = |name: &str| claims.get(name).map_or(Some(None), |value| whole(value).map(Some));
    let mut allowance = Allowance::default();
    let most = u64::MAX;
    (allowance.pairs, allowance.flows) = (most, most);
    (allowance.packets, allowance.bits, allowance.requests) = (most, most, most);
    if let Some(calls) = claim("calls")? {
        allowance.pairs = calls.saturating_mul(2);
    }
    if let Some(ports) = claim("ports")? {
        allowance.pairs = allowance.pairs.min(ports);
    }
    if let Some(packets) = claim("pps")? {
        allowance.packets = packets.max(1);
    }
    if let Some(bits) = claim("kbps")? {
        allowance.bits = bits.saturating_mul(1_000).max(1);
    }
    Some(allowance)
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let text = Base64UrlUnpadded::decode_vec(part).ok()?;
    match serde_json::from_slice(&text).ok()? {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// A number of seconds, or of things: whole and not negative. Times may have a fraction (RFC 7519 §2).
fn whole(value: &Value) -> Option<u64> {
    /// Integers up to here are exact in JavaScript, and far beyond any date.
    const MOST: f64 = 9_007_199_254_740_991.0;
    value.as_u64().filter(|whole| (*whole as f64) < MOST).or_else(|| {
        let number = value.as_f64().filter(|number| (0.0..MOST).contains(number))?;
        Some(number as u64)
    })
}

fn seconds(time: WallTime) -> u64 {
    time.as_micros() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> WallTime {
        WallTime::from_micros(seconds * 1_000_000)
    }

    fn secret(text: &str) -> TokenKey {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{text}").unwrap();
        TokenKey::secret_file(file.path()).unwrap()
    }

    fn keys() -> TokenKeys {
        TokenKeys::new("relay.test", vec![(Some("a".into()), secret(&"s".repeat(32)))])
    }

    fn claims() -> TokenClaims {
        let mut claims = TokenClaims::new("alice", "relay.test");
        claims.servers = vec!["pbx.test:5061".parse().unwrap()];
        claims
    }

    /// A token of any head and claims, signed by our key.
    fn forged(head: &Value, claims: &Value) -> String {
        let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let message = format!("{}.{}", encode(head), encode(claims));
        let signature = secret(&"s".repeat(32)).sign(message.as_bytes()).unwrap();
        format!("{message}.{}", Base64UrlUnpadded::encode_string(&signature))
    }

    #[test]
    fn a_token_grants_what_it_says() {
        let key = secret(&"s".repeat(32));
        let mut claims = claims();
        claims.calls = Some(3);
        let token = claims.sign(&key, Some("a"), at(NOW)).unwrap();
        let grant = keys().verify(&token, at(NOW + 599)).unwrap();
        assert_eq!((grant.subject.as_str(), grant.allowance.pairs), ("alice", 6));
        assert_eq!(grant.servers, claims.servers);
        assert_eq!(grant.expires, at(NOW + 630));
        assert_eq!(keys().verify(&token, at(NOW + 631)), Err(Problem::TokenExpired));
    }

    #[test]
    fn what_is_not_signed_by_our_key_for_us_and_for_now_is_invalid() {
        let invalid = Err(Problem::TokenInvalid);
        let good = claims().sign(&secret(&"s".repeat(32)), None, at(NOW)).unwrap();
        assert!(keys().verify(&good, at(NOW)).is_ok());
        let other = claims().sign(&secret(&"t".repeat(32)), None, at(NOW)).unwrap();
        assert_eq!(keys().verify(&other, at(NOW)), invalid, "another key");
        let kid = claims().sign(&secret(&"s".repeat(32)), Some("b"), at(NOW)).unwrap();
        assert_eq!(keys().verify(&kid, at(NOW)), invalid, "another kid");
        for index in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(keys().verify(&changed, at(NOW)), invalid, "changed at {index}");
        }
        for text in ["", "a", "a.b", "a.b.c", "...", &"x".repeat(10_000)] {
            assert_eq!(keys().verify(text, at(NOW)), invalid);
        }
        let head = json!({ "alg": "HS256" });
        let claims = json!({ "sub": "a", "aud": "relay.test", "sip": [], "exp": NOW + 60 });
        assert!(keys().verify(&forged(&head, &claims), at(NOW)).is_ok());
        for head in [
            json!({ "alg": "none" }),
            json!({ "alg": "ES256" }),
            json!({ "alg": "hs256" }),
            json!({}),
            json!({ "alg": "HS256", "crit": ["exp"] }),
            json!({ "alg": "HS256", "kid": 1 }),
            json!([]),
        ] {
            assert_eq!(keys().verify(&forged(&head, &claims), at(NOW)), invalid, "{head}");
        }
        let (_, unsigned) = (0, forged(&json!({ "alg": "none" }), &claims));
        let unsigned = unsigned.rsplit_once('.').unwrap().0.to_owned() + ".";
        assert_eq!(keys().verify(&unsigned, at(NOW)), invalid);
        for (name, value) in [
            ("aud", json!("other.test")),
            ("aud", json!(null)),
            ("aud", json!([])),
            ("exp", json!(NOW + 3_600)),
            ("exp", json!(-1)),
            ("exp", json!("soon")),
            ("exp", json!(1e300)),
            ("nbf", json!(NOW + 31)),
            ("sub", json!("")),
            ("sub", json!(7)),
            ("sip", json!("pbx.test")),
            ("sip", json!(["a b"])),
            ("sip", json!(vec!["h"; 17])),
            ("ports", json!(-1)),
            ("kbps", json!("fast")),
        ] {
            let mut claims = claims.clone();
            claims[name] = value.clone();
            assert_eq!(keys().verify(&forged(&head, &claims), at(NOW)), invalid, "{name}: {value}");
            claims.as_object_mut().unwrap().remove(name);
            let needed = matches!(name, "aud" | "exp" | "sub" | "sip");
            assert_eq!(
                keys().verify(&forged(&head, &claims), at(NOW)).is_err(),
                needed,
                "no {name}"
            );
        }
    }

    #[test]
    fn a_pair_signs_and_its_public_half_verifies() {
        let directory = tempfile::tempdir().unwrap();
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let (private, public) = (directory.path().join("key"), directory.path().join("pub"));
            std::fs::write(&private, pair.serialize_pem()).unwrap();
            std::fs::write(&public, pair.public_key_pem()).unwrap();
            let (private, public) = (
                TokenKey::private_key_file(&private).unwrap(),
                TokenKey::public_key_file(&public).unwrap(),
            );
            assert_eq!(private.algorithm(), public.algorithm());
            let token = claims().sign(&private, None, at(NOW)).unwrap();
            let keys = TokenKeys::new("relay.test", vec![(None, public)]);
            assert!(keys.verify(&token, at(NOW)).is_ok());
            let mut other = token.clone();
            other.insert(token.len() - 20, 'x');
            assert_eq!(keys.verify(&other, at(NOW)), Err(Problem::TokenInvalid));
        }
    }
}
