use super::*;

/// What a request of alice's telephone is answered.
fn answer_to(site: &mut Site, request: &Ask<'_>) -> Arrival {
    let mut alice = site.phone(1, "alice");
    site.ask(&mut alice, request)
}

#[test]
fn who_cannot_be_reached() {
    for (uri, code) in [
        ("sip:nobody@10.0.0.9", 404),
        ("sip:bob@10.0.0.9", 480),
        ("sip:bob@EXAMPLE.com", 480),
        ("sip:%62ob@localhost:5060", 480),
        ("tel:+4930123", 404),
        ("sip:bob@elsewhere.example", 403),
        ("sip:bob@10.0.0.2", 403),
        ("sip:bob@10.0.0.9:5999", 403),
        ("sips:bob@10.0.0.9", 416),
        ("mailto:bob@10.0.0.9", 416),
        ("sip:10.0.0.9", 404),
    ] {
        let mut site = Site::new();
        assert_eq!(status(&answer_to(&mut site, &ask("INVITE", uri))), code, "{uri}");
    }
}

#[test]
fn nobody_calls_as_another() {
    let mut site = Site::new();
    let mut alice = site.phone(1, "alice");
    for from in ["sip:bob@10.0.0.9", "sip:alice@elsewhere.example", "tel:alice"] {
        let request = Ask { from: Some(from), ..ask("INVITE", "sip:bob@10.0.0.9") };
        assert_eq!(status(&site.ask(&mut alice, &request)), 403, "{from}");
    }
}

#[test]
fn strangers_are_asked_before_they_learn_anything() {
    let mut site = Site::new();
    site.registered(2, "bob");
    for user in ["bob", "carol", "nobody"] {
        let mut phone = site.phone(1, "stranger");
        let uri = format!("sip:{user}@10.0.0.9");
        site.send(&mut phone, &ask("INVITE", &uri), "");
        assert_eq!(status(&site.final_response(&phone)), 407);
    }
}

#[test]
fn the_exchange_answers_for_itself() {
    let mut site = Site::new();
    let answer = answer_to(&mut site, &ask("OPTIONS", "sip:10.0.0.9"));
    assert_eq!(status(&answer), 200);
    assert!(answer.header("Allow").unwrap().contains("REGISTER"));
    assert!(answer.header("To").unwrap().contains(";tag="));
    // And when a request ends its way here.
    let last_hop = Ask { max_forwards: Some(0), ..ask("OPTIONS", "sip:bob@10.0.0.9") };
    assert_eq!(status(&answer_to(&mut site, &last_hop)), 200);
    let last_hop = Ask { max_forwards: Some(0), ..ask("INVITE", "sip:bob@10.0.0.9") };
    assert_eq!(status(&answer_to(&mut site, &last_hop)), 483);
}

#[test]
fn extensions_that_it_lacks_are_named() {
    let mut site = Site::new();
    let request = Ask { more: "Proxy-Require: a, b\n", ..ask("INVITE", "sip:bob@10.0.0.9") };
    let answer = answer_to(&mut site, &request);
    assert_eq!(
        (status(&answer), answer.headers("Unsupported")),
        (420, vec!["a".into(), "b".into()])
    );
    // What the endpoints require of each other is not its business.
    let request = Ask { more: "Require: a\n", ..ask("INVITE", "sip:bob@10.0.0.9") };
    assert_eq!(status(&answer_to(&mut site, &request)), 480);
}

#[test]
fn a_request_that_was_here_before_is_a_loop() {
    let mut site = Site::new();
    let request = Ask {
        more: "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx\n",
        ..ask("INVITE", "sip:bob@10.0.0.9")
    };
    assert_eq!(status(&answer_to(&mut site, &request)), 482);
}

#[test]
fn answers_go_to_the_source_alone() {
    let mut site = Site::new();
    let (mut alice, victim) = (site.phone(1, "alice"), site.phone(4, "victim"));
    let text = alice.compose(&ask("OPTIONS", "sip:10.0.0.9"), "");
    let text =
        text.replace("SIP/2.0/UDP 10.0.0.1:5060;", "SIP/2.0/UDP 10.0.0.4:5060;maddr=10.0.0.4;");
    let exchange = site.exchange.address();
    site.sim[alice.node].send(exchange, &text);
    alice.cseq += 0;
    site.run();
    assert_eq!((site.count(&alice, "200 OK"), site.count(&victim, "SIP")), (1, 0));
    assert!(site.last(&alice, "200").header("Via").unwrap().contains("received=10.0.0.1"));
}

#[test]
fn broken_messages_are_answered_or_dropped() {
    let mut site = Site::new();
    let alice = site.phone(1, "alice");
    let exchange = site.exchange.address();
    let good = alice.compose(&ask("OPTIONS", "sip:10.0.0.9"), "");
    for (text, answers) in [
        (good.replace("CSeq: 0 OPTIONS", "CSeq: x"), "400"),
        (good.replace("SIP/2.0\n", "SIP/3.0\n"), "505"),
        (good.replace("OPTIONS sip:10.0.0.9", "OPTIONS <sip:10.0.0.9>"), "400"),
        (good.replace("Max-Forwards: 70", "Route: <nonsense"), "400"),
        (good.replace("OPTIONS", "ACK"), ""),
        ("\n\n".to_owned(), ""),
        ("GET / HTTP/1.1\n\n".to_owned(), ""),
        (good.replace("OPTIONS sip:10.0.0.9 SIP/2.0", "SIP/2.0 200 OK"), ""),
    ] {
        site.sim[alice.node].send(exchange, &text);
        site.run();
        let came = site.sim[alice.node].take();
        let codes: String = came.iter().map(|arrival| status(arrival).to_string()).collect();
        assert_eq!(codes, answers, "{text}");
    }
    site.sim[alice.node].send_bytes(exchange, vec![0xff; 2_000]);
    site.run();
    assert!(site.sim[alice.node].take().is_empty());
}

#[test]
fn events_that_nobody_takes_are_bounded() {
    let mut site = Site::with(|mut parameters| {
        parameters.requests_per_second = 100_000;
        parameters
    });
    let mut alice = site.phone(1, "alice");
    for _ in 0..MAX_EVENTS + 50 {
        site.send(&mut alice, &ask("INVITE", "sip:bob@elsewhere.example"), "");
    }
    site.run();
    site.sim[alice.node].take();
    assert_eq!(site.events().len(), MAX_EVENTS);
}

#[test]
fn stun_is_answered_where_sip_is() {
    use crate::nat::stun::{StunMessage, TransactionId, binding_request};
    let mut site = Site::new();
    let alice = site.sim.add([10, 0, 0, 1], ScriptedPeer::new());
    let id = site.sim.with(alice, |_, host| TransactionId::new(host));
    let to = site.exchange.address();
    site.sim[alice].send_bytes(to, binding_request(id));
    site.sim.run_for(SECOND);
    let answers = site.sim[alice].take();
    let answer = StunMessage::parse(&answers[0].bytes).unwrap();
    assert_eq!((answers.len(), answer.id, answer.mapped), (1, id, Some(alice.address())));
    // What is none of a question is not answered, and not with SIP either.
    let answer = answers[0].bytes.clone();
    site.sim[alice].send_bytes(to, answer);
    site.sim.run_for(SECOND);
    assert!(site.sim[alice].received().is_empty());
}
