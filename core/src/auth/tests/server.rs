//! What the server takes, from a client or from somebody else.

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
    DigestServer::new(host, "pbx \"one\"", &ALL)
}

/// A client that knows the password, after these challenges.
fn session(challenges: &[String]) -> (DigestClient, Rounds) {
    challenged(&challenges.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What it sends next.
fn next((client, rounds): &mut (DigestClient, Rounds)) -> String {
    answer(client, rounds)
}

#[test]
fn every_algorithm_is_verified() {
    let mut host = bench();
    let mut server = server(&mut host);
    let challenges = server.challenges(&mut host, SOURCE, false);
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
    let challenge = server.challenges(&mut host, SOURCE, false).remove(0).replace("auth,", "");
    let (mut client, mut rounds) = session(&[challenge]);
    let mut field =
        || client.authorize(&mut bench(), &mut rounds, "INVITE", URI, b"body").remove(0).value;
    let field = [field(), field()];
    let mut verify = |field: &str, method: &str, body: &[u8]| {
        server.verify(&mut host, SOURCE, [field], method, body, password).map(drop)
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
    let challenges = server.challenges(&mut host, SOURCE, false);
    for name in ["Mufasa", "Scar"] {
        let (mut client, mut rounds) = (DigestClient::new(true), Rounds::default());
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
    let mut client = session(&server.challenges(&mut host, SOURCE, false));
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
    let challenge = server.challenges(&mut host, SOURCE, false).remove(4);
    let challenge = challenge.replace(", qop=\"auth,auth-int\"", "");
    let mut client = session(&[challenge]);
    assert!(verify(&mut server, &mut host, &next(&mut client)).is_ok());
    assert_eq!(verify(&mut server, &mut host, &next(&mut client)), Err(Refusal::Stale));
}

#[test]
fn an_old_nonce_is_stale_and_the_client_goes_on() {
    let mut host = bench();
    let mut server = server(&mut host);
    let (mut client, mut rounds) = session(&server.challenges(&mut host, SOURCE, false));
    host.now += DigestServer::LIFETIME + Duration::from_micros(1);
    let field = answer(&mut client, &mut rounds);
    assert_eq!(verify(&mut server, &mut host, &field), Err(Refusal::Stale));
    let challenges = server.challenges(&mut host, SOURCE, true);
    assert!(challenges[0].ends_with(", stale=true"));
    let fields = challenges.iter().map(String::as_str);
    client.handle_challenge(&mut rounds, Asker::Server, fields, mufasa).unwrap();
    assert!(verify(&mut server, &mut host, &answer(&mut client, &mut rounds)).is_ok());
}

#[test]
fn a_nonce_cannot_be_made_by_others() {
    let mut host = bench();
    let mut server = server(&mut host);
    let challenge = server.challenges(&mut host, SOURCE, false).remove(0);
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
    let other =
        DigestServer::new(&mut host, "pbx \"one\"", &ALL).challenges(&mut host, SOURCE, false);
    let field = next(&mut session(&other));
    assert_eq!(verify(&mut server, &mut host, &field), Err(Refusal::Stale));
}

#[test]
fn who_makes_up_a_nonce_or_takes_one_of_another_has_not_guessed() {
    let mut host = bench();
    let mut server = server(&mut host);
    let challenge = server.challenges(&mut host, SOURCE, false).remove(0);
    let nonce = param(&challenge, "nonce").unwrap();
    let mut take = |challenge: &str, secret: &str, source: IpAddr| {
        let (mut client, mut rounds) = (DigestClient::new(true), Rounds::default());
        let known = |_: &str| Some(("Mufasa".to_owned(), secret.to_owned()));
        client.handle_challenge(&mut rounds, Asker::Server, [challenge], known).unwrap();
        let field = answer(&mut client, &mut rounds);
        assert_eq!(server.claimed([field.as_str()]).as_deref(), Some("Mufasa"));
        server.verify(&mut host, source, [field.as_str()], "REGISTER", b"", password).map(drop)
    };
    let right = password("Mufasa").unwrap();
    let made_up = challenge.replace(&nonce, "0123456789abcdef");
    let elsewhere = IpAddr::from([10, 0, 0, 2]);
    for secret in ["wrong", &right] {
        assert_eq!(take(&made_up, secret, SOURCE), Err(Refusal::Stale));
        assert_eq!(take(&challenge, secret, elsewhere), Err(Refusal::Stale));
    }
    assert_eq!(take(&challenge, "wrong", SOURCE), Err(Refusal::Wrong));
    assert_eq!(take(&challenge, &right, SOURCE), Ok(()));
}

#[test]
fn only_credentials_for_the_realm_count() {
    let mut host = bench();
    let mut server = server(&mut host);
    let mut client = session(&server.challenges(&mut host, SOURCE, false));
    let other = "Digest username=\"x\", realm=\"other\", nonce=\"n\", uri=\"u\", response=\"r\"";
    assert_eq!(verify(&mut server, &mut host, other), Err(Refusal::Missing));
    assert_eq!(verify(&mut server, &mut host, "Basic QWxhZGRpbg=="), Err(Refusal::Missing));
    let field = next(&mut client);
    let fields = [other, field.as_str()];
    assert!(server.verify(&mut host, SOURCE, fields, "REGISTER", b"", password).is_ok());
    let none: [&str; 0] = [];
    assert_eq!(
        server.verify(&mut host, SOURCE, none, "REGISTER", b"", password),
        Err(Refusal::Missing)
    );
}

#[test]
fn damage_is_refused() {
    let mut host = bench();
    let mut server = server(&mut host);
    let field = next(&mut session(&server.challenges(&mut host, SOURCE, false)));
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
    let mut strict = DigestServer::new(&mut host, "r", &[Algorithm::Sha256]);
    let challenge = strict.challenges(&mut host, SOURCE, false).remove(0);
    let field = next(&mut session(&[challenge.replace("SHA-256", "MD5")]));
    assert_eq!(verify(&mut strict, &mut host, &field), Err(Refusal::Missing));
}

#[test]
fn damaged_fields_never_panic() {
    let mut host = bench();
    let mut server = server(&mut host);
    let challenge = server.challenges(&mut host, SOURCE, true).remove(0);
    let field = next(&mut session(std::slice::from_ref(&challenge)));
    let mut damage = bench();
    let mut answered = 0;
    for _ in 0..5_000 {
        let mut damaged = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..=damage.random() % 4 {
                let at = (damage.random() % bytes.len() as u64) as usize;
                match damage.random() % 3 {
                    0 => drop(bytes.remove(at)),
                    1 => bytes.insert(at, b",=\"\\ \xff"[(damage.random() % 6) as usize]),
                    _ => bytes[at] = damage.random() as u8,
                }
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (challenge, field) = (damaged(&challenge), damaged(&field));
        let (mut client, mut rounds) = (DigestClient::new(true), Rounds::default());
        let fields = [challenge.as_str()];
        if client.handle_challenge(&mut rounds, Asker::Server, fields, mufasa).is_ok() {
            answered += client.authorize(&mut bench(), &mut rounds, "INVITE", URI, b"").len();
        }
        client.handle_info(Asker::Server, &field);
        let _ = verify(&mut server, &mut host, &field);
    }
    assert!(answered > 1_000, "the damage leaves enough to answer: {answered}");
}
