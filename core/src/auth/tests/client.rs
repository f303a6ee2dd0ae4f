//! What the client answers.

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
    let (mut client, mut rounds) = challenged(&["Digest realm=\"r\", nonce=\"n\", qop=\"auth\""]);
    let first = answer(&mut client, &mut rounds);
    let second = answer(&mut client, &mut Rounds::default());
    assert_eq!(param(&first, "nc").as_deref(), Some("00000001"));
    assert_eq!(param(&second, "nc").as_deref(), Some("00000002"));
    assert_ne!(param(&first, "response"), param(&second, "response"));
    // The same nonce in a new challenge goes on counting; another begins anew.
    let challenge = |client: &mut DigestClient, nonce: &str| {
        let field = format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"");
        let (fields, rounds) = ([field.as_str()], &mut Rounds::default());
        client.handle_challenge(rounds, Asker::Server, fields, mufasa).unwrap();
        param(&answer(client, rounds), "nc").unwrap()
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
    let (client, rounds) = challenged(&["Digest realm=\"r\", nonce=\"n\", qop=\"x-new,auth-int\""]);
    let response = |body: &[u8]| {
        let mut client = client.clone();
        let rounds = &mut rounds.clone();
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
        format!("Digest realm=\"r\", nonce=\"{algorithm}\", qop=\"auth\", algorithm={algorithm}")
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
        let (mut client, mut rounds) = (DigestClient::new(true), Rounds::default());
        let result = client.handle_challenge(&mut rounds, Asker::Server, [field], mufasa);
        assert_eq!(result, Err(AuthError::NoChallenge), "{field}");
    }
}

#[test]
fn md5_can_be_refused() {
    let mut client = DigestClient::new(false);
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
    let (mut client, mut rounds) = (DigestClient::new(true), Rounds::default());
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
fn who_is_called_is_not_given_what_the_registrar_asked_for() {
    // A proxy passes Authorization on to the callee, who could try passwords on it.
    let (mut client, mut rounds) = challenged(&["Digest realm=\"r\", nonce=\"n\""]);
    answer(&mut client, &mut rounds);
    let fields = ["Digest realm=\"p\", nonce=\"n\""];
    client.handle_challenge(&mut rounds, Asker::Proxy, fields, mufasa).unwrap();
    let mut askers = |rounds: &mut Rounds, uri: &str| -> Vec<Asker> {
        let fields = client.authorize(&mut bench(), rounds, "INVITE", uri, b"");
        fields.iter().map(|field| field.asker).collect()
    };
    let other = "sip:mallory@example.net";
    assert_eq!(askers(&mut Rounds::default(), other), [Asker::Proxy]);
    assert_eq!(askers(&mut Rounds::default(), URI), [Asker::Server, Asker::Proxy]);
    // A request that was itself challenged is answered wherever it goes.
    assert_eq!(askers(&mut rounds, other), [Asker::Server, Asker::Proxy]);
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
    let mut client = DigestClient::new(true);
    for realm in 0..100 {
        let field = format!("Digest realm=\"{realm}\", nonce=\"n\"");
        let fields = [field.as_str()];
        client.handle_challenge(&mut Rounds::default(), Asker::Proxy, fields, mufasa).unwrap();
    }
    let fields = client.authorize(&mut bench(), &mut Rounds::default(), "BYE", URI, b"");
    assert_eq!(fields.len(), 8);
    assert_eq!(param(&fields[7].value, "realm").as_deref(), Some("99"));
    assert!(!format!("{client:?}").contains("Circle"));
}
