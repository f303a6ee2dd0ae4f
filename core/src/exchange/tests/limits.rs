//! Who asks too much, and everybody else.

use super::calls::INVITE;
use super::*;

/// Whether alice can still call bob.
fn is_served(site: &mut Site, alice: &mut Phone, bob: &Phone) -> bool {
    site.sim[bob.node].take();
    site.start(alice, &INVITE);
    let rang = site.count(bob, "INVITE") == 1;
    site.reply(bob, "INVITE", "486 Busy Here", "");
    rang && status(&site.final_response(alice)) == 486
}

fn is_told(site: &mut Site, limit: Limit, ip: [u8; 4]) -> bool {
    let told = |event: &ExchangeEvent| {
        matches!(event, ExchangeEvent::Limited { source, limit: of, .. }
            if *of == limit && *source == core::net::IpAddr::from(ip))
    };
    site.events().iter().any(told)
}

#[test]
fn a_flood_from_one_address_leaves_others_served() {
    let mut site =
        Site::with(|parameters| ExchangeParameters { requests_per_second: 50, ..parameters });
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    let mut flooder = site.phone(66, "mallory");
    for _ in 0..10 {
        for _ in 0..100 {
            site.send(&mut flooder, &ask("OPTIONS", "sip:10.0.0.9"), "");
        }
        site.sim.run_for(Duration::from_millis(100));
        assert!(is_served(&mut site, &mut alice, &bob));
    }
    let answered = |code| site.count(&flooder, &format!("SIP/2.0 {code}"));
    let (served, refused) = (answered(200), answered(503));
    // Twice what a second has, and what this second and a bit has brought.
    assert!((100..=200).contains(&served), "{served} were served");
    // A refusal is a packet too: of a thousand requests most get none.
    assert!((100..=250).contains(&refused), "{refused} were refused");
    assert_eq!(site.last(&flooder, "503").header("Retry-After").as_deref(), Some("10"));
    assert!(is_told(&mut site, Limit::Requests, [10, 0, 0, 66]));
}

#[test]
fn one_source_has_only_so_many_connections() {
    let mut site =
        Site::with(|parameters| ExchangeParameters { connections_per_source: 2, ..parameters });
    let exchange = site.exchange.address();
    let greedy = site.sim.add([10, 0, 0, 66], ScriptedPeer::new());
    for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
        site.sim[greedy].send_by(transport, exchange, "\n\n");
    }
    site.sim.run_for(SECOND);
    assert_eq!(site.sim.connections(site.exchange), 2);
    assert!(is_told(&mut site, Limit::Connections, [10, 0, 0, 66]));
    let mut bob = site.connected_phone(2, "bob", Transport::Tcp);
    let answer = site.register(&mut bob, "Contact: <sip:bob@10.0.0.2;transport=tcp>\n");
    assert_eq!(status(&answer), 200);
    // Those that end make room.
    site.sim.cut(greedy, site.exchange);
    site.run();
    site.sim[greedy].send_by(Transport::Tcp, exchange, "\n\n");
    site.sim.run_for(SECOND);
    assert_eq!(site.sim.connections(site.exchange), 2);
}

#[test]
fn wrong_passwords_over_tcp_are_slowed_down() {
    let mut site = Site::new();
    let mut guesser = site.connected_phone(66, "bob", Transport::Tcp);
    guesser.password = "wrong".to_owned();
    let contact = "Contact: <sip:bob@10.0.0.66;transport=tcp>\n";
    let codes: Vec<u16> = (0..14).map(|_| status(&site.register(&mut guesser, contact))).collect();
    assert_eq!(codes[..10], [403; 10]);
    assert_eq!(codes[10..], [503; 4]);
    assert!(is_told(&mut site, Limit::Passwords, [10, 0, 0, 66]));
    // The right one is of no use now either, but elsewhere it is.
    guesser.password = "bob".to_owned();
    assert_eq!(status(&site.register(&mut guesser, contact)), 503);
    let mut bob = site.connected_phone(2, "bob", Transport::Tcp);
    let answer = site.register(&mut bob, "Contact: <sip:bob@10.0.0.2;transport=tcp>\n");
    assert_eq!(status(&answer), 200);
    site.sim.run_for(SECOND * 7);
    assert_eq!(status(&site.register(&mut guesser, contact)), 200);
}

#[test]
fn who_sends_slowly_is_not_waited_for() {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    let exchange = site.exchange.address();
    let slow = site.sim.add([10, 0, 0, 66], ScriptedPeer::new());
    site.sim[slow].send_by(Transport::Tcp, exchange, "INVITE sip:bob@10.0.0.9 SIP/2.0\n");
    site.sim.run_for(SECOND);
    assert_eq!(site.sim.connections(site.exchange), 1);
    // A line a second now and then makes no message.
    for _ in 0..45 {
        if site.sim.connections(site.exchange) == 1 {
            site.sim[slow].send_by(Transport::Tcp, exchange, "X-Slow: 1\n");
        }
        site.sim.run_for(SECOND);
    }
    assert_eq!(site.sim.connections(site.exchange), 0);
    assert!(is_served(&mut site, &mut alice, &bob));
}

#[test]
fn forged_guesses_hold_nobody_back() {
    let mut site = Site::new();
    let mut bob = site.phone(2, "bob");
    let exchange = site.exchange.address();
    // A sender with a forged address cannot see the answers, so has no nonce.
    for number in 0..200 {
        let credentials = format!(
            "Authorization: Digest username=\"bob\", realm=\"example.com\", nonce=\"{number:064x}\", \
             uri=\"sip:10.0.0.9\", response=\"00000000000000000000000000000000\"\n"
        );
        bob.cseq += 1;
        let text = bob.compose(&ask("REGISTER", "sip:10.0.0.9"), &credentials);
        site.sim[bob.node].send(exchange, &text);
        site.run();
    }
    assert_eq!((site.count(&bob, "401"), site.count(&bob, "403")), (200, 0));
    let answer = site.register(&mut bob, "Contact: <sip:bob@10.0.0.2>\n");
    assert_eq!(status(&answer), 200);
}

#[test]
fn guesses_are_counted_by_whose_password_is_guessed() {
    let mut site = Site::new();
    let mut guesser = site.phone(66, "bob");
    guesser.password = "wrong".to_owned();
    let code = |site: &mut Site, guesser: &mut Phone, number: usize| {
        let to = format!("sip:{}@{EXCHANGE}", ["alice", "bob", "carol", "nobody"][number % 4]);
        status(&site.ask(guesser, &Ask { to: Some(&to), ..ask("REGISTER", "sip:10.0.0.9") }))
    };
    let codes: Vec<u16> = (0..12).map(|number| code(&mut site, &mut guesser, number)).collect();
    assert_eq!((&codes[..10], &codes[10..]), (&[403; 10][..], &[503; 2][..]));
    // Others of that address are not meant.
    let mut alice = Phone { node: guesser.node, ..site.phone(1, "alice") };
    let answer = site.register(&mut alice, "Contact: <sip:alice@10.0.0.66>\n");
    assert_eq!(status(&answer), 200);
}

#[test]
fn who_floods_with_stun_is_held_back() {
    use crate::nat::TransactionId;
    use crate::nat::stun::binding_request;
    let mut site =
        Site::with(|parameters| ExchangeParameters { requests_per_second: 50, ..parameters });
    let flooder = site.sim.add([10, 0, 0, 66], ScriptedPeer::new());
    let id = site.sim.with(flooder, |_, host| TransactionId::new(host));
    let to = site.exchange.address();
    (0..500).for_each(|_| site.sim[flooder].send_bytes(to, binding_request(id)));
    site.sim.run_for(Duration::from_millis(100));
    let answers = site.sim[flooder].take().len();
    assert!((200..=210).contains(&answers), "{answers} were answered");
    assert!(is_told(&mut site, Limit::Requests, [10, 0, 0, 66]));
}

#[test]
fn stun_is_for_datagrams_alone() {
    use crate::host::Inbound;
    use crate::nat::TransactionId;
    use crate::nat::stun::binding_request;
    let ws = SocketAddr::from(([10, 0, 0, 9], 5060));
    let mut site = Site::with(|parameters| parameters.listen(Transport::Ws, ws));
    let mut bob = site.connected_phone(2, "bob", Transport::Ws);
    site.register(&mut bob, "Contact: <sip:bob@10.0.0.2:49152;transport=ws>\n");
    let (sent, from) = (site.sim.wire().len(), bob.address());
    let id = site.sim.with(bob.node, |_, host| TransactionId::new(host));
    let bytes = binding_request(id);
    site.sim.with(site.exchange, |exchange, host| {
        let running = exchange.running.as_ref().unwrap();
        let flow = running.connections.flows()[0];
        assert_eq!(flow.transport, Transport::Ws);
        exchange.handle_inbound(host, Inbound::Datagram { flow, from, bytes: &bytes });
    });
    site.run();
    assert_eq!(site.sim.wire().len(), sent);
}
