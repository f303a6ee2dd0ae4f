use super::*;

/// A site where alice calls bob, who has two telephones, both ringing.
fn ringing() -> (Site, Phone, Phone, Phone) {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    let (desk, mobile) = (site.registered(2, "bob"), site.registered(3, "bob"));
    let more = "Contact: <sip:alice@10.0.0.1>\n";
    site.start(&mut alice, &Ask { more, ..ask("INVITE", "sip:bob@10.0.0.9") });
    for phone in [&desk, &mobile] {
        site.reply(phone, "INVITE", "180 Ringing", "");
    }
    assert_eq!(site.count(&alice, "180 Ringing"), 2);
    (site, alice, desk, mobile)
}

const OK: (&str, &str) = ("200 OK", "Contact: <sip:bob@10.0.0.2>\n");

#[test]
fn the_first_to_answer_has_the_call() {
    let (mut site, alice, desk, mobile) = ringing();
    let branch = |site: &Site, phone| site.last(phone, "INVITE").headers("Via")[0].clone();
    assert_ne!(branch(&site, &desk), branch(&site, &mobile));
    site.reply(&desk, "INVITE", OK.0, OK.1);
    assert_eq!((site.count(&desk, "CANCEL"), site.count(&mobile, "CANCEL")), (0, 1));
    site.reply(&mobile, "CANCEL", "200 OK", "");
    site.reply(&mobile, "INVITE", "487 Request Terminated", "");
    assert_eq!(site.count(&mobile, "ACK"), 1);
    site.sim.run_for(SECOND * 40);
    assert_eq!((site.count(&alice, "200 OK"), site.count(&alice, "487")), (1, 0));
    assert_eq!(site.sim[site.exchange].requests(), 0);
}

#[test]
fn two_answers_both_reach_the_caller() {
    let (mut site, alice, desk, mobile) = ringing();
    let (first, second) = (site.last(&desk, "INVITE"), site.last(&mobile, "INVITE"));
    site.sim[desk.node].reply(&first, OK.0, OK.1);
    site.sim[mobile.node].reply(&second, "200 OK", "Contact: <sip:bob@10.0.0.3>\n");
    site.run();
    let contacts: Vec<_> = site.sim[alice.node]
        .received()
        .iter()
        .filter(|arrival| status(arrival) == 200)
        .map(|arrival| arrival.header("Contact").unwrap())
        .collect();
    assert_eq!(contacts, ["<sip:bob@10.0.0.2>", "<sip:bob@10.0.0.3>"]);
}

/// What the caller gets when the two telephones answer like this.
fn best_of(first: &str, second: &str) -> Arrival {
    let (mut site, alice, desk, mobile) = ringing();
    site.reply(&desk, "INVITE", first, "");
    let code = |text: &str| text.split(' ').next().unwrap().parse::<u16>().unwrap();
    if code(first) >= 600 {
        // Nobody else is to be bothered (RFC 3261 §16.7 step 5), but the answer waits for them.
        assert_eq!(site.count(&mobile, "CANCEL"), 1);
    }
    assert!(find_final(&site.sim[alice.node], alice.cseq).is_none());
    site.reply(&mobile, "INVITE", second, "");
    let answer = site.final_response(&alice);
    assert_eq!((site.count(&desk, "ACK"), site.count(&mobile, "ACK")), (1, 1));
    let finals = |arrival: &&Arrival| {
        status(arrival) >= 200 && arrival.header("CSeq") == answer.header("CSeq")
    };
    assert_eq!(site.sim[alice.node].received().iter().filter(finals).count(), 1);
    answer
}

#[test]
fn the_best_response_wins() {
    for (first, second, best) in [
        ("486 Busy Here", "404 Not Found", 486),
        ("404 Not Found", "486 Busy Here", 404),
        ("500 Server Error", "404 Not Found", 404),
        ("404 Not Found", "302 Moved Temporarily", 302),
        ("480 Temporarily Unavailable", "415 Unsupported Media Type", 415),
        ("487 Request Terminated", "486 Busy Here", 486),
        ("603 Decline", "487 Request Terminated", 603),
        ("302 Moved Temporarily", "600 Busy Everywhere", 600),
        ("503 Service Unavailable", "504 Server Time-out", 504),
        // §16.7 step 6: a 503 is not passed on.
        ("503 Service Unavailable", "503 Service Unavailable", 500),
    ] {
        assert_eq!(status(&best_of(first, second)), best, "{first}, {second}");
    }
}

#[test]
fn challenges_of_all_branches_reach_the_caller() {
    let (mut site, alice, desk, mobile) = ringing();
    site.reply(&desk, "INVITE", "401 Unauthorized", "WWW-Authenticate: Digest realm=\"desk\"\n");
    let more = "Proxy-Authenticate: Digest realm=\"mobile\"\n";
    site.reply(&mobile, "INVITE", "407 Proxy Authentication Required", more);
    let answer = site.final_response(&alice);
    assert_eq!(status(&answer), 401);
    assert_eq!(answer.headers("WWW-Authenticate"), ["Digest realm=\"desk\""]);
    assert_eq!(answer.headers("Proxy-Authenticate"), ["Digest realm=\"mobile\""]);
}

#[test]
fn a_phone_that_is_gone_does_not_hold_up_the_others() {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    let (desk, mobile) = (site.registered(2, "bob"), site.registered(3, "bob"));
    site.sim.kill(mobile.node);
    let more = "Contact: <sip:alice@10.0.0.1>\n";
    site.start(&mut alice, &Ask { more, ..ask("INVITE", "sip:bob@10.0.0.9") });
    site.reply(&desk, "INVITE", "486 Busy Here", "");
    let start = site.sim.now();
    assert_eq!(status(&site.final_response(&alice)), 486);
    assert!(site.sim.now().since(start) <= SECOND * 32);
}

#[test]
fn nobody_there_is_a_timeout() {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    site.sim.kill(bob.node);
    let answer = site.ask(&mut alice, &ask("INVITE", "sip:bob@10.0.0.9"));
    assert_eq!(status(&answer), 408);
    // Where the network says so, at once.
    site.sim.set_unreachable_reports(true);
    let start = site.sim.now();
    let answer = site.ask(&mut alice, &ask("INVITE", "sip:bob@10.0.0.9"));
    assert_eq!(status(&answer), 480);
    assert!(site.sim.now().since(start) < SECOND);
}

#[test]
fn a_silent_phone_gets_no_408_for_what_is_not_invite() {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    site.sim.kill(bob.node);
    site.start(&mut alice, &ask("MESSAGE", "sip:bob@10.0.0.9"));
    site.sim.run_for(SECOND * 70);
    assert!(find_final(&site.sim[alice.node], alice.cseq).is_none());
    assert_eq!(site.sim[site.exchange].requests(), 0);
}
