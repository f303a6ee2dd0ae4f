use super::*;

pub(super) const INVITE: Ask<'_> = Ask {
    method: "INVITE",
    uri: "sip:bob@example.com",
    to: None,
    from: None,
    more: "Contact: <sip:alice@10.0.0.1>\nContent-Type: application/sdp\nX-Other: kept\n",
    body: "v=0\n",
    max_forwards: None,
};

/// A site where alice has called bob and the call is up; also the 200 as alice saw it.
fn connected() -> (Site, Phone, Phone, Arrival) {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    site.start(&mut alice, &INVITE);
    site.reply(&bob, "INVITE", "180 Ringing", "");
    site.reply(&bob, "INVITE", "200 OK", "Contact: <sip:bob@10.0.0.2>\n");
    let answer = site.final_response(&alice);
    assert_eq!(status(&answer), 200);
    (site, alice, bob, answer)
}

/// A request of alice within the call.
fn within(alice: &Phone, answer: &Arrival, method: &str, cseq: u32, route: &str) -> String {
    format!(
        "{method} sip:bob@10.0.0.2 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKin{method}{cseq}\n\
         From: {}\nTo: {}\nCall-ID: {}\nCSeq: {cseq} {method}\nMax-Forwards: 70\nRoute: {route}\n\n",
        answer.header("From").unwrap(),
        answer.header("To").unwrap(),
        alice.call_id,
    )
}

#[test]
fn an_invite_is_passed_on_as_a_proxy_has_to() {
    let (mut site, alice, bob, answer) = connected();
    let invite = site.last(&bob, "INVITE");
    assert_eq!(invite.first_line(), "INVITE sip:bob@10.0.0.2 SIP/2.0");
    let vias = invite.headers("Via");
    assert!(vias[0].starts_with("SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK"), "{vias:?}");
    assert!(vias[1].starts_with("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKalice-1"), "{vias:?}");
    assert_eq!(vias.len(), 2);
    assert_eq!(invite.header("Max-Forwards").unwrap(), "69");
    let record_route = invite.header("Record-Route").unwrap();
    assert!(record_route.ends_with("@10.0.0.9:5060;lr>"), "{record_route}");
    assert_eq!(invite.header("Proxy-Authorization"), None);
    assert_eq!(invite.header("X-Other").unwrap(), "kept");
    assert!(invite.text().ends_with("Content-Length: 5\r\n\r\nv=0\r\n"), "{}", invite.text());
    // And the responses back.
    assert_eq!(site.count(&alice, "180 Ringing"), 1);
    assert_eq!(answer.headers("Via").len(), 1);
    // §16.7 step 8: the route holds for the dialog with bob now.
    let confirmed = answer.header("Record-Route").unwrap();
    assert!(confirmed.ends_with("@10.0.0.9:5060;lr>") && confirmed != record_route, "{confirmed}");
    let call = |event: &ExchangeEvent| {
        *event
            == ExchangeEvent::Call {
                from: "sip:alice@10.0.0.9".to_owned(),
                to: "sip:bob@example.com".to_owned(),
                contacts: 1,
            }
    };
    assert_eq!(site.events().iter().filter(|event| call(event)).count(), 1);
}

#[test]
fn what_follows_takes_the_recorded_route() {
    let (mut site, alice, bob, answer) = connected();
    let route = answer.header("Record-Route").unwrap();
    let exchange = site.exchange.address();
    let ack = within(&alice, &answer, "ACK", 2, &route);
    site.sim[alice.node].send(exchange, &ack);
    site.run();
    let ack = site.last(&bob, "ACK");
    assert_eq!(ack.first_line(), "ACK sip:bob@10.0.0.2 SIP/2.0");
    assert_eq!((ack.header("Route"), ack.headers("Via").len()), (None, 2));
    // Both ends may hang up; bob proves nothing but that the call was connected here.
    let route = site.last(&bob, "INVITE").header("Record-Route").unwrap();
    let bye = format!(
        "BYE sip:alice@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKbye\n\
         From: {}\nTo: {}\nCall-ID: alice-1\nCSeq: 1 BYE\nMax-Forwards: 70\nRoute: {route}\n\n",
        answer.header("To").unwrap(),
        answer.header("From").unwrap(),
    );
    site.sim[bob.node].send(exchange, &bye);
    site.run();
    site.reply(&alice, "BYE", "200 OK", "");
    assert_eq!(site.last(&bob, "200 OK").headers("Via").len(), 1);
    site.sim.run_for(SECOND * 70);
    assert_eq!(site.sim[site.exchange].requests(), 0);
}

#[test]
fn a_repeated_2xx_is_passed_on_for_a_while() {
    let (mut site, alice, bob, _) = connected();
    for _ in 0..3 {
        site.sim.run_for(SECOND * 4);
        site.reply(&bob, "INVITE", "200 OK", "Contact: <sip:bob@10.0.0.2>\n");
    }
    assert_eq!(site.count(&alice, "200 OK"), 4);
    site.sim.run_for(SECOND * 40);
    site.reply(&bob, "INVITE", "200 OK", "Contact: <sip:bob@10.0.0.2>\n");
    // RFC 6026 §7.3: now it is a stray.
    assert_eq!(site.count(&alice, "200 OK"), 4);
}

#[test]
fn a_strict_router_before_us_is_understood() {
    let (mut site, alice, bob, answer) = connected();
    let route = answer.header("Record-Route").unwrap();
    let ours = route.trim_matches(['<', '>']);
    let bye = within(&alice, &answer, "BYE", 3, "<sip:bob@10.0.0.2>");
    let bye = bye.replace("BYE sip:bob@10.0.0.2 ", &format!("BYE {ours} "));
    let exchange = site.exchange.address();
    site.sim[alice.node].send(exchange, &bye);
    site.run();
    let bye = site.last(&bob, "BYE");
    assert_eq!(bye.first_line(), "BYE sip:bob@10.0.0.2 SIP/2.0");
    assert_eq!(bye.header("Route"), None);
}

#[test]
fn a_strict_router_after_us_gets_what_it_expects() {
    let (mut site, alice, bob, answer) = connected();
    let ours = answer.header("Record-Route").unwrap();
    let next = site.phone(7, "carol");
    for (route, line, left) in [
        ("<sip:10.0.0.7;lr>", "BYE sip:bob@10.0.0.2 SIP/2.0", "<sip:10.0.0.7;lr>"),
        ("<sip:10.0.0.7>", "BYE sip:10.0.0.7 SIP/2.0", "<sip:bob@10.0.0.2>"),
    ] {
        let cseq = 3 + site.count(&next, "BYE") as u32;
        let bye = within(&alice, &answer, "BYE", cseq, &format!("{ours}, {route}"));
        let exchange = site.exchange.address();
        site.sim[alice.node].send(exchange, &bye);
        site.run();
        let bye = site.last(&next, "BYE");
        assert_eq!(
            (bye.first_line().as_str(), bye.header("Route").unwrap().as_str()),
            (line, left)
        );
    }
    assert_eq!(site.count(&bob, "BYE"), 0);
}

#[test]
fn nobody_relays_through_it() {
    let (mut site, alice, bob, answer) = connected();
    let exchange = site.exchange.address();
    let route = answer.header("Record-Route").unwrap();
    let other_call = within(&alice, &answer, "BYE", 4, &route).replace("alice-1", "alice-2");
    let forged = within(&alice, &answer, "BYE", 5, "<sip:0123456789abcdef@10.0.0.9;lr>");
    let plain = within(&alice, &answer, "BYE", 6, "<sip:10.0.0.9;lr>");
    let preloaded = within(&alice, &answer, "BYE", 7, "<sip:10.0.0.2;lr>");
    for text in [other_call, forged, plain, preloaded] {
        site.sim[alice.node].send(exchange, &text);
        site.run();
        assert_eq!(status(site.sim[alice.node].received().last().unwrap()), 481, "{text}");
        let ack = text.replace("BYE", "ACK");
        site.sim[alice.node].send(exchange, &ack);
        site.run();
    }
    let initial =
        Ask { more: "Route: <sip:10.0.0.2;lr>\n", ..ask("OPTIONS", "sip:bob@example.com") };
    let mut alice = alice;
    assert_eq!(status(&site.ask(&mut alice, &initial)), 403);
    assert_eq!((site.count(&bob, "BYE"), site.count(&bob, "ACK")), (0, 0));
    assert_eq!(site.count(&bob, "OPTIONS"), 0);
}

#[test]
fn cancel_reaches_who_rings() {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    site.start(&mut alice, &INVITE);
    site.reply(&bob, "INVITE", "180 Ringing", "");
    cancel(&mut site, &alice);
    assert_eq!(site.count(&alice, "200 OK"), 1);
    assert_eq!(site.last(&bob, "CANCEL").first_line(), "CANCEL sip:bob@10.0.0.2 SIP/2.0");
    assert_eq!(
        site.last(&bob, "CANCEL").header("Via").unwrap(),
        site.last(&bob, "INVITE").headers("Via")[0]
    );
    site.reply(&bob, "CANCEL", "200 OK", "");
    site.reply(&bob, "INVITE", "487 Request Terminated", "");
    assert_eq!(site.count(&bob, "ACK"), 1);
    assert_eq!(status(&site.final_response(&alice)), 487);
    assert_eq!(site.sim[site.exchange].requests(), 0);
}

/// Sends the CANCEL of the INVITE that alice sent last.
fn cancel(site: &mut Site, alice: &Phone) {
    let text = alice.compose(&Ask { method: "CANCEL", more: "", body: "", ..INVITE }, "");
    let exchange = site.exchange.address();
    site.sim[alice.node].send(exchange, &text);
    site.run();
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    site.start(&mut alice, &INVITE);
    cancel(&mut site, &alice);
    assert_eq!(site.count(&bob, "CANCEL"), 0);
    site.reply(&bob, "INVITE", "100 Trying", "");
    assert_eq!(site.count(&bob, "CANCEL"), 1);
    site.reply(&bob, "INVITE", "487 Request Terminated", "");
    assert_eq!(status(&site.final_response(&alice)), 487);
}

#[test]
fn an_answer_that_crosses_cancel_is_passed_on() {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    site.start(&mut alice, &INVITE);
    site.reply(&bob, "INVITE", "180 Ringing", "");
    cancel(&mut site, &alice);
    site.reply(&bob, "INVITE", "200 OK", "Contact: <sip:bob@10.0.0.2>\n");
    assert!(site.last(&alice, "200 OK").header("CSeq").unwrap().ends_with("INVITE"));
    assert_eq!(site.count(&alice, "487"), 0);
}

#[test]
fn a_cancelled_phone_that_is_gone_holds_nobody_up() {
    for rings in [false, true] {
        let mut site = Site::new();
        let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
        site.start(&mut alice, &INVITE);
        if rings {
            site.reply(&bob, "INVITE", "180 Ringing", "");
        }
        site.sim.kill(bob.node);
        cancel(&mut site, &alice);
        site.sim.run_for(SECOND * 33);
        assert_eq!(status(&site.final_response(&alice)), 487, "rings: {rings}");
        site.sim.run_for(SECOND * 33);
        assert_eq!(site.sim[site.exchange].requests(), 0);
    }
}

#[test]
fn cancel_of_nothing_is_told_so() {
    let mut site = Site::new();
    let alice = site.phone(1, "alice");
    cancel(&mut site, &alice);
    assert_eq!(site.count(&alice, "481"), 1);
}

#[test]
fn ringing_without_end_is_ended_by_timer_c() {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    site.start(&mut alice, &INVITE);
    site.reply(&bob, "INVITE", "180 Ringing", "");
    site.sim.run_for(SECOND * 100);
    // A provisional response starts it anew.
    site.reply(&bob, "INVITE", "180 Ringing", "");
    site.sim.run_for(SECOND * 180);
    assert_eq!(site.count(&bob, "CANCEL"), 0);
    site.sim.run_for(SECOND * 2);
    assert!(site.count(&bob, "CANCEL") > 0);
    site.reply(&bob, "CANCEL", "200 OK", "");
    site.reply(&bob, "INVITE", "487 Request Terminated", "");
    assert_eq!(status(&site.final_response(&alice)), 487);
}

#[test]
fn a_repeated_invite_is_passed_on_once() {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    site.start(&mut alice, &INVITE);
    site.reply(&bob, "INVITE", "180 Ringing", "");
    let again = site
        .sim
        .wire()
        .rev()
        .find(|packet| packet.from == alice.address() && packet.text().starts_with("INVITE"));
    let again = again.unwrap().text().into_owned();
    let exchange = site.exchange.address();
    site.sim[alice.node].send(exchange, &again);
    site.run();
    assert_eq!((site.count(&bob, "INVITE"), site.count(&alice, "180 Ringing")), (1, 2));
}

#[test]
fn names_are_resolved() {
    let mut site = Site::new();
    let (mut alice, mut bob) = (site.phone(1, "alice"), site.phone(2, "bob"));
    site.sim.set_name("desk.example.com", &[bob.node.ip()]);
    site.register(&mut bob, "Contact: <sip:bob@desk.example.com>, <sip:bob@nowhere.invalid>\n");
    site.start(&mut alice, &INVITE);
    assert_eq!(site.last(&bob, "INVITE").first_line(), "INVITE sip:bob@desk.example.com SIP/2.0");
    site.reply(&bob, "INVITE", "486 Busy Here", "");
    assert_eq!(status(&site.final_response(&alice)), 486);
}

#[test]
fn a_name_server_that_is_too_slow_is_not_waited_for() {
    let mut site = Site::new();
    let (mut alice, mut bob) = (site.phone(1, "alice"), site.phone(2, "bob"));
    site.sim.set_name("desk.example.com", &[bob.node.ip()]);
    site.sim.set_name_delay(SECOND * 15);
    site.register(&mut bob, "Contact: <sip:bob@desk.example.com>\n");
    let start = site.sim.now();
    assert_eq!(status(&site.ask(&mut alice, &INVITE)), 480);
    assert!(site.sim.now().since(start) < SECOND * 11);
    // Nor does a caller who gives up have to wait, and an answer that comes late does no harm.
    site.start(&mut alice, &INVITE);
    cancel(&mut site, &alice);
    assert_eq!(status(&site.final_response(&alice)), 487);
    site.sim.run_for(SECOND * 30);
    assert_eq!((site.count(&bob, "INVITE"), site.sim[site.exchange].requests()), (0, 0));
}

#[test]
fn a_contact_that_leads_back_here_is_no_loop() {
    let mut site = Site::new();
    let (mut alice, mut bob) = (site.phone(1, "alice"), site.phone(2, "bob"));
    site.sim.set_name("circle.example.com", &[site.exchange.ip()]);
    site.register(&mut bob, "Contact: <sip:alice@circle.example.com>\n");
    let answer = site.ask(&mut alice, &INVITE);
    assert_eq!(status(&answer), 482);
    let itself = |packet: &&crate::sim::WirePacket| packet.from == packet.to;
    assert_eq!(site.sim.wire().filter(itself).count(), 0);
}

#[test]
fn other_requests_travel_too() {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    let more = "P-Asserted-Identity: <sip:president@example.com>\nContent-Type: text/plain\n";
    let message = Ask { more, body: "hello", ..ask("MESSAGE", "tel:bob") };
    site.start(&mut alice, &message);
    let request = site.last(&bob, "MESSAGE");
    assert_eq!(request.header("P-Asserted-Identity"), None);
    assert_eq!(request.header("Record-Route"), None);
    assert!(request.text().ends_with("\r\n\r\nhello"));
    site.reply(&bob, "MESSAGE", "202 Accepted", "");
    assert_eq!(status(&site.final_response(&alice)), 202);
    assert_eq!(site.sim[site.exchange].requests(), 0);
}

#[test]
fn who_was_in_a_call_begins_no_other_by_its_route() {
    let (mut site, alice, bob, answer) = connected();
    let carol = site.phone(7, "carol");
    let route = answer.header("Record-Route").unwrap();
    let exchange = site.exchange.address();
    let to = answer.header("To").unwrap();
    let bare = to.split(";tag").next().unwrap();
    let made_up = &format!("{bare};tag=made-up");
    for (cseq, method, uri, to_be, code) in [
        (9, "INVITE", "sip:carol@10.0.0.7", bare, 403),
        (10, "MESSAGE", "sip:bob@10.0.0.2", bare, 403),
        (11, "INVITE", "sip:bob@example.com", bare, 407),
        (12, "ACK", "sip:bob@10.0.0.2", bare, 0),
        // A tag in To makes no dialog.
        (13, "INVITE", "sip:carol@10.0.0.7", made_up, 481),
        (14, "MESSAGE", "sip:bob@10.0.0.2", made_up, 481),
        (15, "INVITE", "sip:bob@example.com", made_up, 407),
        (16, "ACK", "sip:bob@10.0.0.2", made_up, 0),
    ] {
        site.sim[alice.node].take();
        let text = within(&alice, &answer, method, cseq, &route)
            .replace(&format!("To: {to}"), &format!("To: {to_be}"))
            .replace("sip:bob@10.0.0.2 SIP", &format!("{uri} SIP"))
            .replace("\n\n", "\nP-Asserted-Identity: <sip:president@example.com>\n\n");
        site.sim[alice.node].send(exchange, &text);
        site.run();
        assert_eq!(site.sim[alice.node].received().last().map_or(0, status), code, "{text}");
    }
    assert_eq!((site.count(&carol, "INVITE"), site.count(&bob, "INVITE")), (0, 1));
    assert_eq!((site.count(&bob, "MESSAGE"), site.count(&bob, "ACK")), (0, 0));
}

#[test]
fn nobody_takes_the_calls_of_another_by_his_contact() {
    let (mut site, alice, bob, answer) = connected();
    let mut carol = site.connected_phone(7, "carol", Transport::Tcp);
    let registered = site.register(&mut carol, "Contact: <sip:bob@10.0.0.2>\n");
    assert_eq!(status(&registered), 200);
    let route = answer.header("Record-Route").unwrap();
    let exchange = site.exchange.address();
    site.sim[alice.node].send(exchange, &within(&alice, &answer, "BYE", 3, &route));
    site.run();
    assert_eq!((site.count(&carol, "BYE"), site.count(&bob, "BYE")), (0, 1));
}

#[test]
fn nothing_is_sent_to_many_at_once() {
    let mut site = Site::new();
    let (mut alice, mut bob) = (site.phone(1, "alice"), site.phone(2, "bob"));
    site.sim.set_name("many.example.com", &[[224, 0, 1, 75].into()]);
    for host in ["224.0.1.75", "255.255.255.255", "10.0.0.2;maddr=224.0.1.75", "many.example.com"] {
        site.register(&mut bob, "Contact: *\nExpires: 0\n");
        let answer = site.register(&mut bob, &format!("Contact: <sip:bob@{host}>\n"));
        assert_eq!(status(&answer), 200, "{host}");
        assert_eq!(status(&site.ask(&mut alice, &INVITE)), 480, "{host}");
    }
    let invites = |packet: &&crate::sim::WirePacket| {
        packet.from == site.exchange.address() && packet.text().starts_with("INVITE")
    };
    assert_eq!(site.sim.wire().filter(invites).count(), 0);
}
