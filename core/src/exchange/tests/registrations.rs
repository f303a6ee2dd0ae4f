use super::*;
use crate::auth::Algorithm;

#[test]
fn a_user_registers_refreshes_and_is_forgotten() {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    let answer = site.register(&mut alice, "Contact: <sip:alice@10.0.0.1>;q=0.5\nExpires: 60\n");
    assert_eq!(status(&answer), 200);
    let granted = "<sip:alice@10.0.0.1>;q=0.5;expires=60";
    assert_eq!(answer.headers("Contact"), [granted]);
    let (user, contact) = ("alice".to_owned(), "sip:alice@10.0.0.1".to_owned());
    let registered = ExchangeEvent::Registered {
        user: user.clone(),
        contact: contact.clone(),
        expires: (SECOND * 60).into(),
    };
    assert_eq!(site.events(), core::slice::from_ref(&registered));
    site.sim.run_for(SECOND * 50);
    // Asks what there is.
    let answer = site.register(&mut alice, "");
    assert_eq!(answer.headers("Contact"), ["<sip:alice@10.0.0.1>;q=0.5;expires=10"]);
    site.register(&mut alice, "Contact: <sip:alice@10.0.0.1>\nExpires: 60\n");
    assert_eq!(site.events(), [registered]);
    site.sim.run_for(SECOND * 59);
    assert_eq!(site.contacts("alice"), core::slice::from_ref(&contact));
    site.sim.run_for(SECOND * 2);
    assert!(site.contacts("alice").is_empty());
    assert_eq!(
        site.events(),
        [ExchangeEvent::Unregistered { user, contact, cause: Departure::Expired }]
    );
}

#[test]
fn every_algorithm_is_served() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512256] {
        let mut site = Site::with(|parameters| parameters.algorithm(algorithm));
        let mut alice = site.phone(1, "alice");
        let answer = site.register(&mut alice, "Contact: <sip:alice@10.0.0.1>\n");
        assert_eq!(status(&answer), 200, "{algorithm:?}: {}", answer.text());
    }
}

#[test]
fn the_first_answer_asks_for_a_password() {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    site.send(&mut alice, &ask("REGISTER", "sip:10.0.0.9"), "");
    let answer = site.final_response(&alice);
    assert_eq!(status(&answer), 401);
    let challenge = answer.header("WWW-Authenticate").unwrap();
    assert!(challenge.contains("realm=\"example.com\""), "{challenge}");
    assert!(site.events().is_empty());
}

#[test]
fn a_wrong_password_and_a_wrong_name_are_refused_alike() {
    let mut site = Site::new();
    for user in ["alice", "nobody"] {
        let mut phone = site.phone(if user == "alice" { 1 } else { 2 }, user);
        phone.password = "wrong".to_owned();
        let answer = site.register(&mut phone, "Contact: <sip:x@10.0.0.1>\n");
        assert_eq!(status(&answer), 403);
        let refused = ExchangeEvent::Refused {
            method: crate::sip::Method::Register,
            source: phone.address(),
            user: Some(user.to_owned()),
            code: 403,
        };
        assert_eq!(site.events(), [refused]);
    }
    assert!(site.contacts("alice").is_empty());
}

#[test]
fn nobody_registers_as_another() {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    for to in ["sip:bob@10.0.0.9", "sip:alice@elsewhere.example", "sip:10.0.0.9"] {
        let more = "Contact: <sip:alice@10.0.0.1>\n";
        let request = Ask { to: Some(to), more, ..ask("REGISTER", "sip:10.0.0.9") };
        assert_eq!(status(&site.ask(&mut alice, &request)), 403, "{to}");
    }
    assert!(site.contacts("bob").is_empty() && site.contacts("alice").is_empty());
}

#[test]
fn several_contacts_live_and_die_on_their_own() {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    let more = "Contact: <sip:a@10.0.0.1>;expires=60, <sip:a@10.0.0.2>\n\
                Contact: \"Third\" <sip:a@10.0.0.3;ob>;expires=90\nExpires: 30\n";
    let answer = site.register(&mut alice, more);
    let contacts = [
        "<sip:a@10.0.0.1>;expires=60",
        "<sip:a@10.0.0.2>;expires=30",
        "<sip:a@10.0.0.3;ob>;expires=90",
    ];
    assert_eq!(answer.headers("Contact"), contacts);
    site.sim.run_for(SECOND * 31);
    assert_eq!(site.contacts("alice"), ["sip:a@10.0.0.1", "sip:a@10.0.0.3;ob"]);
    // The same URI, spelt otherwise (RFC 3261 §19.1.4).
    site.register(&mut alice, "Contact: <sip:%61@10.0.0.1>;expires=0\n");
    assert_eq!(site.contacts("alice"), ["sip:a@10.0.0.3;ob"]);
    let answer = site.register(&mut alice, "Contact: *\nExpires: 0\n");
    assert_eq!((status(&answer), answer.headers("Contact").len()), (200, 0));
    assert!(site.contacts("alice").is_empty());
    let gone = |event: &ExchangeEvent| matches!(event, ExchangeEvent::Unregistered { .. });
    assert_eq!(site.events().into_iter().filter(gone).count(), 3);
}

#[test]
fn a_star_stands_alone_and_with_expires_zero() {
    let mut site = Site::new();
    let mut alice = site.registered(1, "alice");
    for more in [
        "Contact: *\n",
        "Contact: *\nExpires: 60\n",
        "Contact: *, <sip:a@10.0.0.1>\nExpires: 0\n",
        "Contact: <sip:a@10.0.0.1\n",
    ] {
        assert_eq!(status(&site.register(&mut alice, more)), 400, "{more}");
    }
    assert_eq!(site.contacts("alice").len(), 1);
}

#[test]
fn intervals_have_bounds() {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    let answer = site.register(&mut alice, "Contact: <sip:a@10.0.0.1>\nExpires: 9\n");
    assert_eq!((status(&answer), answer.header("Min-Expires").unwrap()), (423, "10".to_owned()));
    let more = "Contact: <sip:a@10.0.0.1>;expires=3, <sip:a@10.0.0.2>;expires=60\n";
    assert_eq!(status(&site.register(&mut alice, more)), 423);
    // All or nothing.
    assert!(site.contacts("alice").is_empty());
    for expires in ["", "Expires: 86400\n", "Expires: nonsense\n", "Expires: 4294967296\n"] {
        let more = format!("Contact: <sip:a@10.0.0.1>\n{expires}");
        let answer = site.register(&mut alice, &more);
        assert_eq!(answer.header("Contact").unwrap(), "<sip:a@10.0.0.1>;expires=3600", "{expires}");
    }
}

#[test]
fn a_request_that_was_overtaken_changes_nothing() {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    alice.cseq = 10;
    site.register(&mut alice, "Contact: <sip:a@10.0.0.1>\n");
    alice.cseq = 5;
    let answer = site.register(&mut alice, "Contact: <sip:a@10.0.0.1>;expires=0\n");
    assert_eq!((status(&answer), site.contacts("alice").len()), (500, 1));
    // Another Call-ID is another series: the phone was started again.
    alice.call_id = "fresh".to_owned();
    let answer = site.register(&mut alice, "Contact: <sip:a@10.0.0.1>;expires=0\n");
    assert_eq!((status(&answer), site.contacts("alice").len()), (200, 0));
}

#[test]
fn contacts_are_bounded() {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    for port in 1..=MAX_CONTACTS {
        let answer = site.register(&mut alice, &format!("Contact: <sip:a@10.0.0.1:{port}>\n"));
        assert_eq!(status(&answer), 200);
    }
    let answer = site.register(&mut alice, "Contact: <sip:a@10.0.0.1:99>\n");
    assert_eq!(status(&answer), 403);
    let swap = "Contact: <sip:a@10.0.0.1:99>, <sip:a@10.0.0.1:1>;expires=0\n";
    assert_eq!(status(&site.register(&mut alice, swap)), 200);
    assert_eq!(site.contacts("alice").len(), MAX_CONTACTS);
}

#[test]
fn what_cannot_be_served_is_refused() {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    let answer = site.register(&mut alice, "Require: path, gruu, gin\nContact: <sip:a@10.0.0.1>\n");
    assert_eq!((status(&answer), answer.headers("Unsupported").len()), (420, 2));
    let sips = "Contact: <sips:a@10.0.0.1>\n";
    assert_eq!(status(&site.register(&mut alice, sips)), 416);
    // Calls to it would go in circles.
    let itself = "Contact: <sip:bob@10.0.0.9>\n";
    assert_eq!(status(&site.register(&mut alice, itself)), 403);
    let foreign = ask("REGISTER", "sip:elsewhere.example");
    assert_eq!(status(&site.ask(&mut alice, &foreign)), 403);
    assert!(site.contacts("alice").is_empty());
}
