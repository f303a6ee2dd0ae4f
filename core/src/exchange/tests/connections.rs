//! Telephones on connections: lost ones, new ones, wrong ones, and a restart of the exchange.

use super::calls::INVITE;
use super::phones::{Handset, Manner};
use super::*;
use crate::certificate::Identities;
use crate::config::PhoneParameters;
use crate::event::{CallState, EndedBy};
use crate::sim::Link;

/// Where it listens for every transport; in the simulation they share a port.
fn everywhere(mut parameters: ExchangeParameters) -> ExchangeParameters {
    let at = SocketAddr::from(([10, 0, 0, 9], 5060));
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        parameters = parameters.listen(transport, at);
    }
    parameters
}

fn handset(
    site: &mut Site,
    (last, user): (u8, &str),
    transport: Transport,
    manner: Manner,
) -> Handset {
    let password: String = user.chars().rev().collect();
    let parameters = PhoneParameters::new("10.0.0.9:5060", user);
    let parameters = parameters.password(&password).transport(transport);
    let handset = Handset::at(site, [10, 0, 0, last].into(), parameters, manner);
    if matches!(transport, Transport::Ws | Transport::Wss) {
        for transport in Transport::ALL {
            site.sim.set_listening(handset.node, transport, false);
        }
    }
    handset
}

/// A large session description.
fn large() -> String {
    format!("v=0\n{}", "a=x-long:0123456789012345678901234567890123456789\n".repeat(40))
}

#[test]
fn a_websocket_that_is_lost_takes_its_binding_along() {
    let mut site = Site::with(everywhere);
    let mut bob = site.connected_phone(2, "bob", Transport::Ws);
    // Whatever it looks like: a client of WebSocket cannot be connected to.
    let contact = "sip:bob@10.0.0.2:49152;transport=ws";
    assert_eq!(status(&site.register(&mut bob, &format!("Contact: <{contact}>\n"))), 200);
    let mut alice = site.phone(1, "alice");
    site.start(&mut alice, &INVITE);
    let first = format!("INVITE {contact} SIP/2.0");
    assert_eq!(site.last(&bob, "INVITE").first_line(), first);
    site.reply(&bob, "INVITE", "486 Busy Here", "");
    assert_eq!(status(&site.final_response(&alice)), 486);
    site.events();
    site.sim.cut(bob.node, site.exchange);
    site.run();
    assert!(site.contacts("bob").is_empty());
    let (user, cause) = ("bob".to_owned(), Departure::Lost);
    let gone = ExchangeEvent::Unregistered { user, contact: contact.to_owned(), cause };
    assert_eq!(site.events(), [gone]);
    assert_eq!(status(&site.ask(&mut alice, &INVITE)), 480);
}

#[test]
fn who_listens_is_connected_to_anew() {
    let mut site = Site::new();
    let mut bob = site.connected_phone(2, "bob", Transport::Tcp);
    site.register(&mut bob, "Contact: <sip:bob@10.0.0.2;transport=tcp>\n");
    let mut alice = site.phone(1, "alice");
    let mut flow = || {
        site.start(&mut alice, &INVITE);
        let flow = site.last(&bob, "INVITE").flow;
        site.reply(&bob, "INVITE", "486 Busy Here", "");
        assert_eq!(status(&site.final_response(&alice)), 486);
        site.sim.cut(bob.node, site.exchange);
        site.run();
        flow
    };
    let (first, second) = (flow(), flow());
    assert_eq!((first.transport, second.transport), (Transport::Tcp, Transport::Tcp));
    assert_ne!(first, second);
    assert_eq!(site.contacts("bob").len(), 1);
}

#[test]
fn the_certificate_of_who_is_connected_to_is_looked_at() {
    for (named, problem) in [
        ("sip:10.0.0.2", None),
        ("sip:other.example", Some("its certificate is for other.example, not 10.0.0.2")),
    ] {
        let mut site = Site::with(everywhere);
        let (mut alice, mut bob) = (site.phone(1, "alice"), site.phone(2, "bob"));
        site.register(&mut bob, "Contact: <sip:bob@10.0.0.2:5060;transport=tls>\n");
        let uris = vec![named.to_owned()];
        site.sim.set_certificate(bob.node, Identities { uris, ..Identities::default() });
        site.events();
        site.start(&mut alice, &INVITE);
        site.run();
        let rings = usize::from(problem.is_none());
        assert_eq!(site.count(&bob, "INVITE"), rings, "{named}\n{:?}", site.events());
        let Some(problem) = problem else { continue };
        assert_eq!(status(&site.final_response(&alice)), 480);
        assert_eq!(site.sim.connections(site.exchange), 0);
        let (transport, peer) = (Transport::Tls, bob.address());
        let told = ExchangeEvent::Unreachable { transport, peer, problem: problem.to_owned() };
        assert!(site.events().contains(&told));
    }
}

#[test]
fn the_calls_of_who_is_gone_stop_ringing() {
    let mut site = Site::new();
    let mut alice = site.connected_phone(1, "alice", Transport::Tcp);
    let bob = site.registered(2, "bob");
    site.start(&mut alice, &INVITE);
    site.reply(&bob, "INVITE", "180 Ringing", "");
    assert_eq!(site.count(&bob, "CANCEL"), 0);
    site.sim.cut(alice.node, site.exchange);
    site.run();
    assert_eq!(site.count(&bob, "CANCEL"), 1);
    site.reply(&bob, "CANCEL", "200 OK", "");
    site.reply(&bob, "INVITE", "487 Request Terminated", "");
    site.sim.run_for(SECOND * 70);
    assert_eq!(site.sim[site.exchange].requests(), 0);
}

#[test]
fn damage_ends_its_own_connection_alone() {
    let mut site = Site::new();
    let mut bob = site.connected_phone(2, "bob", Transport::Tcp);
    site.register(&mut bob, "Contact: <sip:bob@10.0.0.2;transport=tcp>\n");
    let flow = site.sim[bob.node].connections().next();
    let exchange = site.exchange.address();
    for damage in [
        "INVITE sip:bob@10.0.0.9 SIP/2.0\nContent-Length: 5\nContent-Length: 7\n\n",
        "INVITE sip:bob@10.0.0.9 SIP/2.0\nContent-Length: -1\n\n",
        "INVITE sip:bob@10.0.0.9 SIP/2.0\nContent-Length: 99999999999999999999\n\n",
    ] {
        let vandal = site.sim.add([10, 0, 0, 66], ScriptedPeer::new());
        site.sim[vandal].send_by(Transport::Tcp, exchange, damage);
        site.sim.run_for(SECOND);
        assert_eq!(site.sim.connections(site.exchange), 1, "{damage}");
        site.sim.kill(vandal);
    }
    let mut alice = site.phone(1, "alice");
    site.start(&mut alice, &INVITE);
    assert_eq!(Some(site.last(&bob, "INVITE").flow), flow);
}

#[test]
fn what_is_too_large_for_a_datagram_goes_by_tcp_where_that_can_be() {
    for listens in [true, false] {
        let mut site = Site::new();
        let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
        site.sim.set_listening(bob.node, Transport::Tcp, listens);
        let body = large();
        site.start(&mut alice, &Ask { body: &body, ..INVITE });
        site.run();
        assert_eq!(site.count(&bob, "INVITE"), 1);
        let invite = site.last(&bob, "INVITE");
        let transport = if listens { Transport::Tcp } else { Transport::Udp };
        assert_eq!(invite.flow.transport, transport);
        let via = format!("SIP/2.0/{} 10.0.0.9:5060;", transport.as_str());
        assert!(invite.header("Via").unwrap().starts_with(&via));
        let route = invite.header("Record-Route").unwrap();
        assert_eq!(route.contains(";transport=tcp"), listens, "{route}");
        site.reply(&bob, "INVITE", "486 Busy Here", "");
        assert_eq!(status(&site.final_response(&alice)), 486);
        // A small one needs no connection.
        site.start(&mut alice, &INVITE);
        assert_eq!(site.last(&bob, "INVITE").flow.transport, Transport::Udp);
    }
}

#[test]
fn a_call_comes_through_after_any_connection_was_lost() {
    for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
        let mut site = Site::with(everywhere);
        let alice = handset(&mut site, (1, "alice"), Transport::Udp, Manner::Rings);
        let bob = handset(&mut site, (2, "bob"), transport, Manner::Answers);
        site.wait_registered(&[&alice, &bob]);
        site.sim.run_for(SECOND);
        site.sim.cut(bob.node, site.exchange);
        site.run();
        // Who listens nowhere is reached when he is back.
        let exchange = site.exchange;
        site.wait(|sim| sim[exchange].contacts("bob").is_some_and(|all| !all.is_empty()));
        let call = site.dial(&alice, "bob");
        site.wait(|_| alice.state() == Some(CallState::Answered));
        site.sim[alice.node].hangup(call).unwrap();
        assert_eq!(site.wait_end(&bob).0, EndedBy::Remote, "{transport:?}");
    }
}

/// Timer C is for those who ring and say nothing; who has lost his connection is gone, unless he is back
/// in a moment.
#[test]
fn whoever_rings_and_loses_his_connection_comes_back_or_is_gone() {
    for transport in [Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss] {
        for comes_back in [true, false] {
            let mut site = Site::with(everywhere);
            let alice = handset(&mut site, (1, "alice"), Transport::Udp, Manner::Rings);
            let bob = handset(&mut site, (2, "bob"), transport, Manner::Rings);
            site.wait_registered(&[&alice, &bob]);
            site.dial(&alice, "bob");
            site.wait(|sim| sim[bob.node].calls().count() == 1);
            site.run();
            let at = site.sim.now();
            if !comes_back {
                site.sim.partition(bob.node.ip(), site.exchange.ip());
            }
            site.sim.cut(bob.node, site.exchange);
            if !comes_back {
                assert_eq!(site.wait_end(&alice), (EndedBy::Remote, Some(480)), "{transport:?}");
                assert!(site.sim.now().since(at) < SECOND * 6, "{transport:?}");
                assert_eq!(site.sim[site.exchange].requests(), 0);
                continue;
            }
            site.sim.run_for(SECOND * 20);
            assert_eq!(alice.end(), None, "{transport:?}");
            let call = site.sim[bob.node].calls().next().unwrap();
            site.sim[bob.node].answer(call).unwrap();
            site.wait(|_| alice.state() == Some(CallState::Answered));
        }
    }
}

#[test]
fn calls_outlive_a_restart_with_the_same_secret() {
    use Transport::{Tcp, Tls, Udp, Ws, Wss};
    for (from, to) in [(Udp, Udp), (Udp, Ws), (Tcp, Udp), (Ws, Tcp), (Tls, Wss)] {
        for caller_hangs_up in [true, false] {
            let secret = |parameters| {
                let mut parameters = everywhere(parameters);
                parameters.secret = Some(b"0123456789abcdef".to_vec());
                parameters
            };
            let mut site = Site::with(secret);
            let alice = handset(&mut site, (1, "alice"), from, Manner::Rings);
            let bob = handset(&mut site, (2, "bob"), to, Manner::Answers);
            site.wait_registered(&[&alice, &bob]);
            let call = site.dial(&alice, "bob");
            site.wait(|_| alice.state() == Some(CallState::Answered));
            site.wait(|_| bob.state() == Some(CallState::Answered));
            site.sim.run_for(SECOND);
            let again = Exchange::new(site.sim[site.exchange].parameters().clone());
            site.sim.restart(site.exchange, again);
            // On a connection they notice, and register again.
            site.sim.run_for(SECOND * 100);
            let (first, second) = if caller_hangs_up { (&alice, &bob) } else { (&bob, &alice) };
            let calls: Vec<_> = site.sim[first.node].calls().collect();
            assert_eq!(calls.len(), 1, "{call}: from {from:?} to {to:?}");
            site.sim[first.node].hangup(calls[0]).unwrap();
            let end = site.wait_end(second);
            assert_eq!(end.0, EndedBy::Remote, "from {from:?} to {to:?}");
        }
    }
}

#[test]
fn who_knows_it_by_name_comes_back_by_name_within_a_call() {
    const NAME: &str = "pbx.example.com";
    for transport in [Transport::Tls, Transport::Wss] {
        let mut site = Site::with(|parameters| {
            let mut parameters = everywhere(parameters);
            parameters.domains.push(NAME.to_owned());
            parameters
        });
        // Its certificate says nothing of an address.
        let dns_names = vec![NAME.to_owned()];
        let named = Identities { dns_names, ..Identities::default() };
        site.sim.set_certificate(site.exchange, named);
        site.sim.set_name(NAME, &[site.exchange.ip()]);
        let server = format!("{NAME}:5060");
        let mut handset = |last, user: &str, manner| {
            let password: String = user.chars().rev().collect();
            let parameters = PhoneParameters::new(&server, user).password(&password);
            let parameters = parameters.transport(transport);
            Handset::at(&mut site, [10, 0, 0, last].into(), parameters, manner)
        };
        let alice = handset(1, "alice", Manner::Rings);
        let bob = handset(2, "bob", Manner::Answers);
        site.wait_registered(&[&alice, &bob]);
        let call = site.dial(&alice, "bob");
        site.wait(|_| alice.state() == Some(CallState::Answered));
        site.sim.run_for(SECOND);
        site.sim.cut(alice.node, site.exchange);
        site.sim.cut(bob.node, site.exchange);
        site.sim.run_for(SECOND * 5);
        site.sim[alice.node].hangup(call).unwrap();
        assert_eq!(site.wait_end(&bob).0, EndedBy::Remote, "{transport:?}");
        let routes = site.sim.wire().filter(|packet| {
            packet.text().lines().any(|line| {
                line.starts_with("Record-Route") && !line.contains(&format!("@{NAME}:5060;"))
            })
        });
        assert_eq!(routes.count(), 0);
    }
}

#[test]
fn a_contact_whose_connection_is_lost_is_not_taken_by_another() {
    let mut site = Site::new();
    let contact = "Contact: <sip:bob@10.0.0.2;transport=tcp>\n";
    let (mut alice, mut bob) =
        (site.phone(1, "alice"), site.connected_phone(2, "bob", Transport::Tcp));
    let mut carol = site.connected_phone(7, "carol", Transport::Tcp);
    site.register(&mut bob, contact);
    site.start(&mut alice, &INVITE);
    site.reply(&bob, "INVITE", "200 OK", "Contact: <sip:bob@10.0.0.2;transport=tcp>\n");
    let answer = site.final_response(&alice);
    site.sim.cut(bob.node, site.exchange);
    site.run();
    assert_eq!(status(&site.register(&mut carol, contact)), 200);
    let [from, to, routes] = ["From", "To", "Record-Route"].map(|name| answer.headers(name));
    let routes: String = routes.iter().map(|route| format!("Route: {route}\n")).collect();
    let bye = format!(
        "BYE sip:bob@10.0.0.2;transport=tcp SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKbye\n\
         From: {}\nTo: {}\nCall-ID: alice-1\nCSeq: 9 BYE\nMax-Forwards: 70\n{routes}\n",
        from[0], to[0],
    );
    let exchange = site.exchange.address();
    site.sim[alice.node].send(exchange, &bye);
    site.sim.run_for(SECOND);
    assert_eq!((site.count(&carol, "BYE"), site.count(&bob, "BYE")), (0, 1));
}

#[test]
fn a_passing_failure_leaves_the_way_to_who_is_behind_a_nat() {
    let mut site = Site::new();
    site.sim.set_unreachable_reports(true);
    let (mut alice, mut bob) = (site.phone(1, "alice"), site.phone(2, "bob"));
    // Bound to where it came from; the address in the contact leads nowhere.
    site.register(&mut bob, "Contact: <sip:bob@192.168.0.2;ob>\n");
    site.sim.kill(bob.node);
    // What is under way has failed.
    assert_eq!(status(&site.ask(&mut alice, &INVITE)), 480);
    site.sim.restart(bob.node, ScriptedPeer::new());
    site.start(&mut alice, &INVITE);
    assert_eq!(site.count(&bob, "INVITE"), 1);
}

#[test]
fn what_is_too_large_goes_as_a_datagram_when_tcp_is_not_answered() {
    let mut site = Site::new();
    let (mut alice, bob) = (site.phone(1, "alice"), site.registered(2, "bob"));
    let (there, here) = (bob.node.ip(), site.exchange.ip());
    site.sim.link(there, here, Link::slow(SECOND * 6));
    let body = large();
    site.start(&mut alice, &Ask { body: &body, ..INVITE });
    site.sim.run_for(SECOND * 9);
    site.sim.link(there, here, Link::default());
    site.sim.run_for(SECOND * 2);
    assert_eq!(site.last(&bob, "INVITE").flow.transport, Transport::Udp);
    site.reply(&bob, "INVITE", "486 Busy Here", "");
    assert_eq!(status(&site.final_response(&alice)), 486);
}
