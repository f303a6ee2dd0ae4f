//! Requests that are too large for a datagram (RFC 3261 §18.1.1).

use super::scene::{ALICE, PEER, Scene, described, response};
use crate::call::CallOptions;
use crate::event::CallState;
use crate::host::Transport;
use crate::sim::Arrival;
use crate::time::Duration;

#[test]
fn a_large_invite_goes_by_udp_when_its_connection_is_closed_unanswered() {
    let mut scene = Scene::new();
    let alice = scene.direct(ALICE, "alice");
    let udp = |arrival: &Arrival| arrival.text().contains("Via: SIP/2.0/UDP");
    let peer = scene.peer(PEER, move |peer, arrival| {
        if udp(arrival) && !arrival.first_line().starts_with("ACK") {
            peer.reply(arrival, "200 OK", &described());
        }
    });
    let place = |scene: &mut Scene| {
        let options = CallOptions::default().header("X-Long", &"long ".repeat(300));
        let call = scene.tell(&alice, |phone| phone.call("sip:bob@10.0.0.9", options)).unwrap();
        scene.run(Duration::from_millis(50));
        call
    };
    let call = place(&mut scene);
    assert_eq!((scene.sim[peer].count("INVITE"), scene.sim.connections(peer)), (1, 1));
    scene.sim.cut(alice.id, peer);
    scene.reach(&alice, call, CallState::Answered);
    assert_eq!(scene.sim[peer].count("INVITE"), 2, "by TCP and by UDP");
    // For a while it is not tried again.
    let second = place(&mut scene);
    scene.reach(&alice, second, CallState::Answered);
    assert_eq!((scene.sim[peer].count("INVITE"), scene.sim.connections(peer)), (3, 0));
    for call in [call, second] {
        scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
        scene.ended(&alice, call);
    }
    scene.assert_idle(&alice);
}

/// §18.1.1 holds for the ACK of a 2xx too, which many proxies on the way make long.
#[test]
fn a_large_ack_goes_by_tcp_and_by_udp_when_that_is_refused() {
    for listens in [true, false] {
        let mut scene = Scene::new();
        let routes =
            "Record-Route: <sip:0123456789abcdef0123456789abcdef@10.0.0.9;lr>\n".repeat(20);
        let peer = scene.peer(PEER, move |peer, arrival| match &*arrival.header("CSeq").unwrap() {
            "1 INVITE" => {
                let answer = response(arrival, "200 OK", "t", &(routes.clone() + &described()));
                // It comes again before the connection is there.
                peer.send(arrival.from, &answer);
                peer.send(arrival.from, &answer);
            }
            _ => peer.reply(arrival, "200 OK", ""),
        });
        scene.sim.set_listening(peer, Transport::Tcp, listens);
        let alice = scene.direct(ALICE, "alice");
        let call = scene.call(&alice, "sip:bob@10.0.0.9");
        scene.reach(&alice, call, CallState::Answered);
        scene.run(Duration::from_secs(1));
        let acks: Vec<&Arrival> = scene.sim[peer]
            .received()
            .iter()
            .filter(|arrival| arrival.first_line().starts_with("ACK"))
            .collect();
        let transport = if listens { Transport::Tcp } else { Transport::Udp };
        assert!(!acks.is_empty(), "{}", scene.ladder());
        for ack in acks {
            assert_eq!(ack.flow.transport, transport, "{}", scene.ladder());
            assert!(ack.bytes.len() > 1_300);
            let via = ack.header("Via").unwrap();
            assert!(via.starts_with(&format!("SIP/2.0/{}", transport.as_str())), "{via}");
        }
        scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
        scene.ended(&alice, call);
    }
}
