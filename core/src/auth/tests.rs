//! The RFCs' examples, a client against a server, and what pyVoIP got wrong.

use super::algorithm::{self, Request, hashed_username};
use super::params::Params;
use super::{
    Algorithm, Asker, AuthError, Authorization, Challenge, DigestClient, DigestServer, Qop,
    Refusal, Rounds, Verified,
};
use crate::host::{Clock, Datagrams, Entropy, Outbound};
use crate::time::{Duration, Instant, WallTime};

/// A clock that is set and a counter for randomness.
struct Bench {
    now: Instant,
    seed: u64,
}

impl Clock for Bench {
    fn now(&self) -> Instant {
        self.now
    }
    fn wall(&self) -> WallTime {
        WallTime::from_micros(0)
    }
}

impl Entropy for Bench {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.seed >> 56) as u8;
        }
    }
}

impl Datagrams for Bench {
    fn send(&mut self, _: Outbound<'_>) {
        panic!("authentication sends nothing");
    }
}

fn bench() -> Bench {
    Bench { now: Instant::from_micros(1_000_000), seed: 7 }
}

const URI: &str = "sip:pbx.example.com";

fn mufasa(_: &str) -> Option<(String, String)> {
    Some(("Mufasa".to_owned(), "Circle of Life".to_owned()))
}

fn password(name: &str) -> Option<String> {
    (name == "Mufasa").then(|| "Circle of Life".to_owned())
}

/// A client that was challenged, and its request's rounds.
fn challenged(challenges: &[&str]) -> (DigestClient, Rounds) {
    let (mut client, mut rounds) = (DigestClient::default(), Rounds::default());
    let fields = challenges.iter().copied();
    client.handle_challenge(&mut rounds, Asker::Server, fields, mufasa).unwrap();
    (client, rounds)
}

/// The one field that the client puts into a REGISTER.
fn answer(client: &mut DigestClient, rounds: &mut Rounds) -> String {
    let mut fields = client.authorize(&mut bench(), rounds, "REGISTER", URI, b"");
    assert_eq!(fields.len(), 1);
    fields.remove(0).value
}

fn param(field: &str, name: &str) -> Option<String> {
    Params::parse(field).first()?.value(name).map(str::to_owned)
}

fn verify(server: &mut DigestServer, host: &mut Bench, field: &str) -> Result<Verified, Refusal> {
    server.verify(host, [field], "REGISTER", b"", password)
}

mod vectors {
    use super::*;

    /// RFC 7616 §3.9.1.
    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    fn get(nonce: &str, algorithm: Algorithm, secret: &str, cnonce: &str) -> String {
        let protection = Some((Qop::Auth, "00000001", cnonce));
        let request =
            Request { nonce, method: "GET", uri: "/dir/index.html", body: b"", protection };
        algorithm::response(algorithm, secret, &request)
    }

    #[test]
    fn rfc_7616() {
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let realm = "http-auth@example.org";
            let secret =
                algorithm::secret(algorithm, "Mufasa", realm, "Circle of Life", (NONCE, CNONCE));
            assert_eq!(get(NONCE, algorithm, &secret, CNONCE), expected);
        }
    }

    #[test]
    fn rfc_2617() {
        // §3.5.
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let realm = "testrealm@host.com";
        let secret =
            algorithm::secret(Algorithm::Md5, "Mufasa", realm, "Circle Of Life", (nonce, ""));
        assert_eq!(secret, "939e7578ed9e3c518a452acee763bce9");
        let response = get(nonce, Algorithm::Md5, &secret, "0a4f113b");
        assert_eq!(response, "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn sha_512_256_is_that_of_fips_180_4() {
        // RFC 7616 §3.9.2 as erratum 4897 corrects it; the RFC's text has a truncated SHA-512.
        let (algorithm, name) = (Algorithm::Sha512256, "J\u{e4}s\u{f8}n Doe");
        let realm = "api@example.org";
        let nonce = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK";
        let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
        let secret = algorithm::secret(algorithm, name, realm, "Secret, or not?", (nonce, cnonce));
        let protection = Some((Qop::Auth, "00000001", cnonce));
        let request = Request { nonce, method: "GET", uri: "/doe.json", body: b"", protection };
        assert_eq!(
            algorithm::response(algorithm, &secret, &request),
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        );
        assert_eq!(
            hashed_username(algorithm, name, realm),
            "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
        );
    }

    #[test]
    fn an_empty_body_hashes_as_the_empty_string() {
        // RFC 3261 §22.4 (7), RFC 8760 §2.6 (7).
        assert_eq!(Algorithm::Md5.hash(&[b""]), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(
            Algorithm::Sha256.hash(&[b""]),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    /// The string of that name in a flat JSON object whose strings need no escapes.
    fn string<'a>(object: &'a str, name: &str) -> Option<&'a str> {
        let (_, value) = object.split_once(&format!("\"{name}\":"))?;
        Some(value.trim_start().strip_prefix('"')?.split_once('"')?.0)
    }

    #[test]
    fn shared_vectors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/digest/digest.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("skipped: {path} is not there");
            return;
        };
        let vectors: Vec<&str> = text.split('}').filter(|vector| vector.contains('{')).collect();
        assert!(vectors.len() >= 7);
        for vector in vectors {
            let field = |name: &str| string(vector, name);
            let text = |name: &str| field(name).unwrap_or_default();
            let algorithm = Algorithm::from_name(text("algorithm")).unwrap();
            let nonces = (text("nonce"), text("cnonce"));
            let (name, realm) = (text("username"), text("realm"));
            let secret = algorithm::secret(algorithm, name, realm, text("password"), nonces);
            let request = Request {
                nonce: nonces.0,
                method: text("method"),
                uri: text("uri"),
                body: text("body").as_bytes(),
                protection: field("qop")
                    .map(|qop| (Qop::from_name(qop).unwrap(), text("nc"), nonces.1)),
            };
            let response = algorithm::response(algorithm, &secret, &request);
            assert_eq!(response, text("response"), "{}", text("source"));
            if let Some(userhash) = field("userhash") {
                assert_eq!(hashed_username(algorithm, name, realm), userhash);
            }
        }
    }
}

mod client {
    use super::*;

    #[test]
    fn an_answer_has_every_parameter_as_rfc_7616_quotes_it() {
        let (mut client, mut rounds) = challenged(&[
            "Digest realm=\"a \\\"b\\\"\", nonce=\"n\\\\1\", algorithm=SHA-256, opaque=\"o\", \
             qop=\"auth-int, auth\"",
        ]);
        let field = answer(&mut client, &mut rounds);
        assert!(field.starts_with(
            "Digest username=\"Mufasa\", realm=\"a \\\"b\\\"\", nonce=\"n\\\\1\", \
             uri=\"sip:pbx.example.com\", response=\""
        ));
        assert!(field.contains(", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\""));
        assert!(field.ends_with("\", opaque=\"o\""));
        // What is hashed are the values without quotes and escapes.
        let cnonce = param(&field, "cnonce").unwrap();
        let secret = Algorithm::Sha256.hash(&[b"Mufasa", b"a \"b\"", b"Circle of Life"]);
        let request = Request {
            nonce: "n\\1",
            method: "REGISTER",
            uri: URI,
            body: b"",
            protection: Some((Qop::Auth, "00000001", &cnonce)),
        };
        let expected = algorithm::response(Algorithm::Sha256, &secret, &request);
        assert_eq!(param(&field, "response"), Some(expected));
    }

    #[test]
    fn the_count_rises_with_each_request() {
        let (mut client, mut rounds) =
            challenged(&["Digest realm=\"r\", nonce=\"n\", qop=\"auth\""]);
        let first = answer(&mut client, &mut rounds);
        let second = answer(&mut client, &mut Rounds::default());
        assert_eq!(param(&first, "nc").as_deref(), Some("00000001"));
        assert_eq!(param(&second, "nc").as_deref(), Some("00000002"));
        assert_ne!(param(&first, "response"), param(&second, "response"));
        // The same nonce in a new challenge goes on counting; another begins anew.
        let challenge = |client: &mut DigestClient, nonce: &str| {
            let field = format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"");
            let fields = [field.as_str()];
            client.handle_challenge(&mut Rounds::default(), Asker::Server, fields, mufasa).unwrap();
            param(&answer(client, &mut Rounds::default()), "nc").unwrap()
        };
        assert_eq!(challenge(&mut client, "n"), "00000003");
        assert_eq!(challenge(&mut client, "m"), "00000001");
    }

    #[test]
    fn without_qop_the_form_of_rfc_2069() {
        let (mut client, mut rounds) = challenged(&["Digest realm=\"r\", nonce=\"n\""]);
        let field = answer(&mut client, &mut rounds);
        for name in ["qop", "nc", "cnonce", "algorithm", "opaque", "userhash"] {
            assert_eq!(param(&field, name), None, "{name}");
        }
    }

    #[test]
    fn auth_int_covers_the_body() {
        let (client, _) = challenged(&["Digest realm=\"r\", nonce=\"n\", qop=\"x-new,auth-int\""]);
        let response = |body: &[u8]| {
            let mut client = client.clone();
            let rounds = &mut Rounds::default();
            let field = client.authorize(&mut bench(), rounds, "INVITE", URI, body).remove(0).value;
            assert_eq!(param(&field, "qop").as_deref(), Some("auth-int"));
            param(&field, "response")
        };
        assert_eq!(response(b"v=0"), response(b"v=0"));
        assert_ne!(response(b"v=0"), response(b"v=1"));
    }

    #[test]
    fn the_strongest_that_is_known_is_taken() {
        let taken = |fields: &[&str]| {
            let (mut client, mut rounds) = challenged(fields);
            param(&answer(&mut client, &mut rounds), "nonce").unwrap()
        };
        let field = |algorithm: &str| {
            format!(
                "Digest realm=\"r\", nonce=\"{algorithm}\", qop=\"auth\", algorithm={algorithm}"
            )
        };
        let [md5, sha256, sha512, new, basic] = [
            field("MD5"),
            field("SHA-256"),
            field("sha-512-256"),
            field("SHA3-512"),
            "Basic realm=\"r\"".to_owned(),
        ];
        assert_eq!(taken(&[&md5, &basic, &new, &sha256]), "SHA-256");
        // Of two that are as strong the server's order decides (RFC 8760 §2.4).
        assert_eq!(taken(&[&sha512, &sha256, &md5]), "sha-512-256");
        assert_eq!(taken(&[&md5, &sha256, &sha512]), "SHA-256");
        assert_eq!(taken(&[&new, &md5]), "MD5");
        assert_eq!(taken(&[&format!("{basic}, {new}, {md5}, {sha256}")]), "SHA-256");
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        for field in [
            "Basic realm=\"r\"",
            "Digest realm=\"r\", nonce=\"n\", algorithm=SHA3-512",
            "Digest realm=\"r\", nonce=\"n\", qop=\"x-new\"",
            "Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess",
            "Digest realm=\"r\"",
            "Digest nonce=\"n\"",
            "",
        ] {
            assert_eq!(Challenge::parse(field), [], "{field}");
            let (mut client, mut rounds) = (DigestClient::default(), Rounds::default());
            let result = client.handle_challenge(&mut rounds, Asker::Server, [field], mufasa);
            assert_eq!(result, Err(AuthError::NoChallenge), "{field}");
        }
    }

    #[test]
    fn md5_can_be_refused() {
        let mut client = DigestClient::without_md5();
        let mut take = |fields: &[&str]| {
            let fields = fields.iter().copied();
            client.handle_challenge(&mut Rounds::default(), Asker::Server, fields, mufasa)
        };
        let md5 = "Digest realm=\"r\", nonce=\"n\"";
        assert_eq!(take(&[md5]), Err(AuthError::NoChallenge));
        assert_eq!(take(&[md5, "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256"]), Ok(()));
    }

    #[test]
    fn realms_and_askers_are_kept_apart() {
        let (mut client, mut rounds) = (DigestClient::default(), Rounds::default());
        let fields = ["Digest realm=\"a\", nonce=\"1\"", "Digest realm=\"b\", nonce=\"2\""];
        let only_b = |realm: &str| if realm == "b" { mufasa(realm) } else { None };
        client.handle_challenge(&mut rounds, Asker::Proxy, fields, only_b).unwrap();
        let fields = ["Digest realm=\"c\", nonce=\"3\""];
        client.handle_challenge(&mut rounds, Asker::Server, fields, mufasa).unwrap();
        let fields = client.authorize(&mut bench(), &mut rounds, "INVITE", URI, b"");
        let told = |field: &Authorization| (field.asker, param(&field.value, "realm").unwrap());
        let told: Vec<_> = fields.iter().map(told).collect();
        assert_eq!(told, [(Asker::Proxy, "b".to_owned()), (Asker::Server, "c".to_owned())]);
        let fields = ["Digest realm=\"a\", nonce=\"1\""];
        assert_eq!(
            client.handle_challenge(&mut rounds, Asker::Proxy, fields, only_b),
            Err(AuthError::NoCredentials { realm: "a".to_owned() })
        );
    }

    #[test]
    fn refused_credentials_are_not_sent_again() {
        let (mut client, mut rounds) = challenged(&["Digest realm=\"r\", nonce=\"1\""]);
        answer(&mut client, &mut rounds);
        let again = ["Digest realm=\"r\", nonce=\"2\""];
        assert_eq!(
            client.handle_challenge(&mut rounds, Asker::Server, again, mufasa),
            Err(AuthError::Rejected { realm: "r".to_owned() })
        );
        assert_eq!(client.authorize(&mut bench(), &mut rounds, "REGISTER", URI, b""), []);
    }

    #[test]
    fn a_stale_nonce_is_replaced_once() {
        let (mut client, mut rounds) = challenged(&["Digest realm=\"r\", nonce=\"1\""]);
        answer(&mut client, &mut rounds);
        let mut stale = |nonce: &str| {
            let field = format!("Digest realm=\"r\", nonce=\"{nonce}\", stale=TRUE");
            let fields = [field.as_str()];
            let result = client.handle_challenge(&mut rounds, Asker::Server, fields, mufasa);
            result.map(|()| param(&answer(&mut client, &mut rounds), "nonce").unwrap())
        };
        assert_eq!(stale("2").as_deref(), Ok("2"));
        assert!(stale("3").is_err(), "a server that finds every nonce stale is given up");
    }

    #[test]
    fn a_nonce_is_tried_at_most_twice() {
        let (mut client, mut rounds) = challenged(&["Digest realm=\"r\", nonce=\"1\""]);
        answer(&mut client, &mut rounds);
        let stale = ["Digest realm=\"r\", nonce=\"1\", stale=true"];
        client.handle_challenge(&mut rounds, Asker::Server, stale, mufasa).unwrap();
        answer(&mut client, &mut rounds);
        assert!(client.handle_challenge(&mut rounds, Asker::Server, stale, mufasa).is_err());
    }

    #[test]
    fn a_remembered_nonce_may_have_become_old() {
        // The next request carries the old nonce; some servers challenge without saying stale.
        let (mut client, mut rounds) = challenged(&["Digest realm=\"r\", nonce=\"1\""]);
        answer(&mut client, &mut rounds);
        let mut rounds = Rounds::default();
        assert_eq!(param(&answer(&mut client, &mut rounds), "nonce").as_deref(), Some("1"));
        let fields = ["Digest realm=\"r\", nonce=\"2\""];
        client.handle_challenge(&mut rounds, Asker::Server, fields, mufasa).unwrap();
        assert_eq!(param(&answer(&mut client, &mut rounds), "nonce").as_deref(), Some("2"));
        let fields = ["Digest realm=\"r\", nonce=\"3\""];
        assert!(client.handle_challenge(&mut rounds, Asker::Server, fields, mufasa).is_err());
    }

    #[test]
    fn two_requests_at_once_do_not_disturb_each_other() {
        let (mut client, mut first) = challenged(&["Digest realm=\"r\", nonce=\"1\""]);
        answer(&mut client, &mut first);
        // The second was sent before the first challenge came, and is challenged by itself.
        let mut second = Rounds::default();
        let fields = ["Digest realm=\"r\", nonce=\"2\""];
        assert_eq!(client.handle_challenge(&mut second, Asker::Server, fields, mufasa), Ok(()));
    }

    #[test]
    fn the_next_nonce_is_used() {
        let (mut client, mut rounds) =
            challenged(&["Digest realm=\"r\", nonce=\"1\", qop=\"auth\", algorithm=MD5-sess"]);
        let first = answer(&mut client, &mut rounds);
        client.handle_info(Asker::Proxy, "nextnonce=\"other\"");
        client.handle_info(Asker::Server, "qop=auth, rspauth=\"x\", nextnonce=\"2\"");
        let second = answer(&mut client, &mut rounds);
        assert_eq!(param(&second, "nonce").as_deref(), Some("2"));
        assert_eq!(param(&second, "nc").as_deref(), Some("00000001"));
        // RFC 7616 §3.4.2: the session key is still that of the first nonces.
        let cnonce = param(&first, "cnonce").unwrap();
        let secret = algorithm::secret(
            Algorithm::Md5Sess,
            "Mufasa",
            "r",
            "Circle of Life",
            ("1", cnonce.as_str()),
        );
        let protection = Some((Qop::Auth, "00000001", cnonce.as_str()));
        let request = Request { nonce: "2", method: "REGISTER", uri: URI, body: b"", protection };
        let expected = algorithm::response(Algorithm::Md5Sess, &secret, &request);
        assert_eq!(param(&second, "response"), Some(expected));
    }

    #[test]
    fn a_hashed_name_is_sent_where_it_is_wanted() {
        let (mut client, mut rounds) = challenged(&[
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256, userhash=true",
        ]);
        let field = answer(&mut client, &mut rounds);
        assert!(field.ends_with(", userhash=true"));
        let hashed = hashed_username(Algorithm::Sha256, "Mufasa", "r");
        assert_eq!(param(&field, "username"), Some(hashed));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_hidden() {
        let mut client = DigestClient::default();
        for realm in 0..100 {
            let field = format!("Digest realm=\"{realm}\", nonce=\"n\"");
            let fields = [field.as_str()];
            client.handle_challenge(&mut Rounds::default(), Asker::Server, fields, mufasa).unwrap();
        }
        let fields = client.authorize(&mut bench(), &mut Rounds::default(), "BYE", URI, b"");
        assert_eq!(fields.len(), 8);
        assert_eq!(param(&fields[7].value, "realm").as_deref(), Some("99"));
        assert!(!format!("{client:?}").contains("Circle"));
    }
}

mod server {
    use super::*;

    const ALL: [Algorithm; 6] = [
        Algorithm::Sha512256,
        Algorithm::Sha512256Sess,
        Algorithm::Sha256,
        Algorithm::Sha256Sess,
        Algorithm::Md5,
        Algorithm::Md5Sess,
    ];

    fn server(host: &mut Bench) -> DigestServer {
        DigestServer::new(host, Asker::Server, "pbx \"one\"", &ALL)
    }

    /// What a client that knows the password sends after these challenges.
    fn session(challenges: &[String]) -> DigestClient {
        challenged(&challenges.iter().map(String::as_str).collect::<Vec<_>>()).0
    }

    fn next(client: &mut DigestClient) -> String {
        answer(client, &mut Rounds::default())
    }

    #[test]
    fn every_algorithm_is_verified() {
        let mut host = bench();
        let mut server = server(&mut host);
        let challenges = server.challenges(&mut host, false);
        assert_eq!(challenges.len(), ALL.len());
        for (index, challenge) in challenges.iter().enumerate() {
            // They share a nonce, so each answer counts one further.
            let mut client = session(std::slice::from_ref(challenge));
            (0..index).for_each(|_| drop(next(&mut client)));
            let verified = verify(&mut server, &mut host, &next(&mut client));
            let expected = Verified { username: "Mufasa".to_owned(), uri: URI.to_owned() };
            assert_eq!(verified, Ok(expected), "{challenge}");
        }
    }

    #[test]
    fn auth_int_is_verified_with_its_body() {
        let mut host = bench();
        let mut server = server(&mut host);
        let challenge = server.challenges(&mut host, false).remove(0).replace("auth,", "");
        let mut client = session(&[challenge]);
        let mut field = || {
            let rounds = &mut Rounds::default();
            client.authorize(&mut bench(), rounds, "INVITE", URI, b"body").remove(0).value
        };
        let field = [field(), field()];
        let mut verify = |field: &str, method: &str, body: &[u8]| {
            server.verify(&mut host, [field], method, body, password).map(drop)
        };
        assert_eq!(verify(&field[0], "INVITE", b"other"), Err(Refusal::Wrong));
        assert_eq!(verify(&field[0], "REGISTER", b"body"), Err(Refusal::Wrong));
        assert_eq!(verify(&field[0], "INVITE", b"body"), Ok(()));
        assert_eq!(verify(&field[1], "INVITE", b"body"), Ok(()));
    }

    #[test]
    fn a_wrong_password_and_an_unknown_name_look_alike() {
        let mut host = bench();
        let mut server = server(&mut host);
        let challenges = server.challenges(&mut host, false);
        for name in ["Mufasa", "Scar"] {
            let (mut client, mut rounds) = (DigestClient::default(), Rounds::default());
            let wrong = |_: &str| Some((name.to_owned(), String::new()));
            let fields = challenges.iter().map(String::as_str);
            client.handle_challenge(&mut rounds, Asker::Server, fields, wrong).unwrap();
            let field = answer(&mut client, &mut rounds);
            assert_eq!(verify(&mut server, &mut host, &field), Err(Refusal::Wrong), "{name}");
        }
    }

    #[test]
    fn a_replay_is_stale() {
        let mut host = bench();
        let mut server = server(&mut host);
        let mut client = session(&server.challenges(&mut host, false));
        let fields = [next(&mut client), next(&mut client), next(&mut client)];
        let mut take = |index: usize| verify(&mut server, &mut host, &fields[index]).map(drop);
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(0), Err(Refusal::Stale));
        // Requests may overtake each other.
        assert_eq!(take(2), Ok(()));
        assert_eq!(take(1), Ok(()));
        assert_eq!(take(1), Err(Refusal::Stale));
    }

    #[test]
    fn a_nonce_without_qop_is_good_once() {
        let mut host = bench();
        let mut server = server(&mut host);
        let challenge = server.challenges(&mut host, false).remove(4);
        let challenge = challenge.replace(", qop=\"auth,auth-int\"", "");
        let mut client = session(&[challenge]);
        assert!(verify(&mut server, &mut host, &next(&mut client)).is_ok());
        assert_eq!(verify(&mut server, &mut host, &next(&mut client)), Err(Refusal::Stale));
    }

    #[test]
    fn an_old_nonce_is_stale_and_the_client_goes_on() {
        let mut host = bench();
        let mut server = server(&mut host);
        let (mut client, mut rounds) =
            (session(&server.challenges(&mut host, false)), Rounds::default());
        host.now += DigestServer::LIFETIME + Duration::from_micros(1);
        let field = answer(&mut client, &mut rounds);
        assert_eq!(verify(&mut server, &mut host, &field), Err(Refusal::Stale));
        let challenges = server.challenges(&mut host, true);
        assert!(challenges[0].ends_with(", stale=true"));
        let fields = challenges.iter().map(String::as_str);
        client.handle_challenge(&mut rounds, Asker::Server, fields, mufasa).unwrap();
        assert!(verify(&mut server, &mut host, &answer(&mut client, &mut rounds)).is_ok());
    }

    #[test]
    fn a_nonce_cannot_be_made_by_others() {
        let mut host = bench();
        let mut server = server(&mut host);
        let challenge = server.challenges(&mut host, false).remove(0);
        let nonce = param(&challenge, "nonce").unwrap();
        for at in [0, 20, 40, 63] {
            let mut forged = nonce.clone();
            let digit = if &nonce[at..=at] == "0" { "1" } else { "0" };
            forged.replace_range(at..=at, digit);
            let mut client = session(&[challenge.replace(&nonce, &forged)]);
            let field = next(&mut client);
            assert_eq!(verify(&mut server, &mut host, &field), Err(Refusal::Stale), "{at}");
        }
        for forged in [
            "",
            "x",
            &nonce[..63],
            &format!("{nonce}0"),
            "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}",
        ] {
            let mut client = session(&[challenge.replace(&nonce, forged)]);
            let field = next(&mut client);
            assert_eq!(verify(&mut server, &mut host, &field), Err(Refusal::Stale), "{forged}");
        }
        let other = DigestServer::new(&mut host, Asker::Server, "pbx \"one\"", &ALL)
            .challenges(&mut host, false);
        let field = next(&mut session(&other));
        assert_eq!(verify(&mut server, &mut host, &field), Err(Refusal::Stale));
    }

    #[test]
    fn only_credentials_for_the_realm_count() {
        let mut host = bench();
        let mut server = server(&mut host);
        let mut client = session(&server.challenges(&mut host, false));
        let other =
            "Digest username=\"x\", realm=\"other\", nonce=\"n\", uri=\"u\", response=\"r\"";
        assert_eq!(verify(&mut server, &mut host, other), Err(Refusal::Missing));
        assert_eq!(verify(&mut server, &mut host, "Basic QWxhZGRpbg=="), Err(Refusal::Missing));
        let field = next(&mut client);
        let fields = [other, field.as_str()];
        assert!(server.verify(&mut host, fields, "REGISTER", b"", password).is_ok());
        let none: [&str; 0] = [];
        assert_eq!(
            server.verify(&mut host, none, "REGISTER", b"", password),
            Err(Refusal::Missing)
        );
    }

    #[test]
    fn damage_is_refused() {
        let mut host = bench();
        let mut server = server(&mut host);
        let field = next(&mut session(&server.challenges(&mut host, false)));
        for (from, to) in [
            ("username", "x"),
            ("uri=", "x="),
            ("nonce=", "x="),
            ("response", "x"),
            ("nc=00000001", "nc=00000000"),
            ("nc=00000001", "nc=1x"),
            ("nc=00000001", "nc=000000001"),
            ("qop=auth", "qop=other"),
            ("SHA-512-256", "SHA3"),
            ("algorithm=SHA-512-256, qop=auth,", "algorithm=MD5-sess,"),
        ] {
            let damaged = field.replacen(from, to, 1);
            assert_ne!(damaged, field, "{from}");
            let refusal = verify(&mut server, &mut host, &damaged).unwrap_err();
            assert_eq!(refusal, Refusal::Malformed, "{from} {to}");
        }
        for length in 0..field.len() {
            assert!(verify(&mut server, &mut host, &field[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn an_algorithm_that_was_not_offered_is_not_taken() {
        let mut host = bench();
        let mut strict = DigestServer::new(&mut host, Asker::Proxy, "r", &[Algorithm::Sha256]);
        let challenge = strict.challenges(&mut host, false).remove(0);
        let field = next(&mut session(&[challenge.replace("SHA-256", "MD5")]));
        assert_eq!(verify(&mut strict, &mut host, &field), Err(Refusal::Missing));
        assert_eq!(strict.asker().challenge_field(), "Proxy-Authenticate");
    }
}

/// PYVOIP.md, "Broken there": each of its digest faults.
mod pyvoip {
    use super::*;

    fn response(algorithm: &str, nonce: &str) -> String {
        let field =
            format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\", algorithm={algorithm}");
        let (mut client, mut rounds) = challenged(&[&field]);
        answer(&mut client, &mut rounds)
    }

    /// What the response must be, computed from its parts without the code under test.
    fn expected(field: &str, hash: impl Fn(&str) -> String, session: bool) -> String {
        let cnonce = param(field, "cnonce").unwrap();
        let mut secret = hash("Mufasa:r:Circle of Life");
        if session {
            secret = hash(&format!("{secret}:n:{cnonce}"));
        }
        let request = hash(&format!("REGISTER:{URI}"));
        hash(&format!("{secret}:n:00000001:{cnonce}:auth:{request}"))
    }

    fn hash<D: sha2::Digest>(text: &str) -> String {
        D::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn sha_256_is_not_md5() {
        let field = response("SHA-256", "n");
        assert_eq!(
            param(&field, "response").unwrap(),
            expected(&field, hash::<sha2::Sha256>, false)
        );
    }

    #[test]
    fn sha_512_256_is_not_a_truncated_sha_512() {
        let field = response("SHA-512-256", "n");
        let told = param(&field, "response").unwrap();
        assert_eq!(told, expected(&field, hash::<sha2::Sha512_256>, false));
        let truncated = |text: &str| hash::<sha2::Sha512>(text)[..64].to_owned();
        assert_ne!(told, expected(&field, truncated, false));
    }

    #[test]
    fn session_variants_hash_the_secret_twice() {
        let field = response("MD5-sess", "n");
        assert_eq!(param(&field, "response").unwrap(), expected(&field, hash::<md5::Md5>, true));
        let field = response("SHA-256-sess", "n");
        assert_eq!(
            param(&field, "response").unwrap(),
            expected(&field, hash::<sha2::Sha256>, true)
        );
    }

    #[test]
    fn the_uri_is_that_of_the_request() {
        let (mut client, mut rounds) = challenged(&["Digest realm=\"r\", nonce=\"n\""]);
        let uri = "sip:bob@198.51.100.2:5070;transport=udp";
        let fields = client.authorize(&mut bench(), &mut rounds, "BYE", uri, b"");
        assert_eq!(param(&fields[0].value, "uri").as_deref(), Some(uri));
    }

    // Userhash: `client::a_hashed_name_is_sent_where_it_is_wanted` and `vectors`.
}
