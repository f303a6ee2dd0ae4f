//! What a phone asks of its host, and what it does when that says no, late or nothing.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use super::scene::{ALICE, BOB, PEER, Scene, described, header, request, sdp, session, tag};
use crate::certificate::Identities;
use crate::config::PhoneParameters;
use crate::error::Error;
use crate::event::{CallEvent, CallState, EndedBy, Event, PhoneEvent, PhoneStatus};
use crate::host::{
    Clock, Datagrams, Endpoint, Entropy, Flow, FlowFailure, Inbound, MediaPort, Outbound, Records,
    RequestId, Transport,
};
use crate::phone::Phone;
use crate::sim::ScriptedPeer;
use crate::time::{Duration, Instant, WallTime};

/// A host that answers nothing by itself.
#[derive(Default)]
struct Sulking {
    now: Instant,
    flows: VecDeque<RequestId>,
    binds: VecDeque<RequestId>,
    names: VecDeque<RequestId>,
    released: Vec<MediaPort>,
    closed: Vec<Flow>,
    sent: Vec<String>,
    random: u64,
}

impl Clock for Sulking {
    fn now(&self) -> Instant {
        self.now
    }
    fn wall(&self) -> WallTime {
        WallTime::default()
    }
}

impl Entropy for Sulking {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (self.random >> 56) as u8;
        }
    }
}

impl Datagrams for Sulking {
    fn send(&mut self, outbound: Outbound<'_>) {
        match outbound {
            Outbound::OpenFlow { id, .. } => self.flows.push_back(id),
            Outbound::BindMedia { id, .. } => self.binds.push_back(id),
            Outbound::Resolve { id, .. } => self.names.push_back(id),
            Outbound::ReleaseMedia { port } => self.released.push(port),
            Outbound::CloseFlow { flow } => self.closed.push(flow),
            Outbound::Datagram { bytes, .. } => {
                self.sent.push(String::from_utf8_lossy(bytes).into_owned());
            }
            _ => {}
        }
    }
}

const FLOW: Flow = Flow { transport: Transport::Udp, id: 1 };

/// A started phone and its host.
fn started(parameters: PhoneParameters) -> (Phone, Sulking) {
    let (mut phone, mut host) = (Phone::new(parameters).unwrap(), Sulking::default());
    phone.start().unwrap();
    phone.handle_deadline(&mut host);
    (phone, host)
}

fn opened(phone: &mut Phone, host: &mut Sulking, local: &str) {
    let id = host.flows.pop_front().expect("a flow was asked for");
    let local: SocketAddr = local.parse().unwrap();
    phone.handle_inbound(host, Inbound::FlowOpened { id, flow: FLOW, local, certificate: None });
}

fn bound(id: RequestId, port: u64) -> Inbound<'static> {
    let rtp = SocketAddr::new(IpAddr::from(ALICE), 10_000);
    let rtcp = SocketAddr::new(IpAddr::from(ALICE), 10_001);
    Inbound::MediaBound { id, port: MediaPort(port), rtp, rtcp }
}

/// Lets time pass, deadline by deadline.
fn pass(phone: &mut Phone, host: &mut Sulking, time: Duration) {
    let end = host.now + time;
    while let Some(at) = phone.next_deadline().filter(|at| *at <= end) {
        host.now = host.now.max(at);
        phone.handle_deadline(host);
    }
    host.now = end;
}

fn resolved(id: RequestId, addresses: &[IpAddr]) -> Inbound<'_> {
    Inbound::Resolved { id, records: Records::Addresses(addresses), ttl: Duration::from_secs(60) }
}

fn ending(phone: &mut Phone) -> Option<(EndedBy, Option<Error>)> {
    core::iter::from_fn(|| phone.next_event()).find_map(|event| match event {
        Event::Call { event: CallEvent::Ended(ending), .. } => Some((ending.by, ending.error)),
        _ => None,
    })
}

#[test]
fn a_host_that_never_answers_is_waited_for_ten_seconds() {
    for step in 0..3 {
        let (mut phone, mut host) = started(PhoneParameters::without_server("alice"));
        phone.call("sip:bob@bob.example:5060", Default::default()).unwrap();
        phone.handle_deadline(&mut host);
        if step > 0 {
            let id = host.names.pop_front().unwrap();
            let addresses = [IpAddr::from(BOB)];
            phone.handle_inbound(&mut host, resolved(id, &addresses));
        }
        if step > 1 {
            opened(&mut phone, &mut host, "10.0.0.1:5060");
        }
        pass(&mut phone, &mut host, Duration::from_millis(9_900));
        assert_eq!(phone.calls().count(), 1);
        pass(&mut phone, &mut host, Duration::from_millis(200));
        let unreachable = |peer: &str, problem: &str| {
            let (peer, problem) = (peer.to_owned(), problem.to_owned());
            Error::Unreachable { peer, problem }
        };
        let expected = match step {
            0 => unreachable("bob.example", "its name could not be looked up: it took too long"),
            1 => unreachable("bob.example at 10.0.0.2:5060 (UDP)", "it took too long"),
            _ => Error::NoPortsAvailable { low: 10_000, high: 20_000 },
        };
        assert_eq!(ending(&mut phone), Some((EndedBy::Error, Some(expected))));
        assert_eq!(phone.next_deadline(), None, "nothing is left behind");
        // A late answer is given back at once.
        if let Some(id) = host.binds.pop_front() {
            phone.handle_inbound(&mut host, bound(id, 5));
            assert_eq!(host.released, [MediaPort(5)]);
        }
    }
}

#[test]
fn what_the_network_refuses_is_told_by_its_address() {
    let to: SocketAddr = "10.0.0.2:5999".parse().unwrap();
    let told = |error: Option<&Error>| error.map(ToString::to_string).unwrap_or_default();
    let words = "10.0.0.2 cannot be reached: nothing listens at 10.0.0.2:5999 (UDP)";

    let (mut phone, mut host) = started(PhoneParameters::without_server("alice"));
    phone.options("sip:bob@10.0.0.2:5999").unwrap();
    phone.handle_deadline(&mut host);
    opened(&mut phone, &mut host, "10.0.0.1:5060");
    phone.handle_inbound(&mut host, Inbound::SendFailed { flow: FLOW, to });
    let events: Vec<_> = core::iter::from_fn(|| phone.next_event()).collect();
    let pong = events.iter().find_map(|event| match event {
        Event::Response { reply: Err(error), .. } => Some(told(error.as_ref())),
        _ => None,
    });
    assert!(pong.as_ref().is_some_and(|told| told.starts_with(words)), "{events:?}");

    let (mut phone, mut host) = started(PhoneParameters::new("10.0.0.2:5999", "alice"));
    opened(&mut phone, &mut host, "10.0.0.1:5060");
    phone.handle_inbound(&mut host, Inbound::SendFailed { flow: FLOW, to });
    let events: Vec<_> = core::iter::from_fn(|| phone.next_event()).collect();
    let failed = events.iter().find_map(|event| match event {
        Event::Phone(PhoneEvent::RegistrationFailed { cause: None, error }) => {
            Some(told(error.as_ref()))
        }
        _ => None,
    });
    assert!(failed.as_ref().is_some_and(|told| told.starts_with(words)), "{events:?}");
}

#[test]
fn a_certificate_for_another_name_closes_the_connection() {
    const SECURE: Flow = Flow { transport: Transport::Tls, id: 7 };
    let named = |name: &str| Identities { dns_names: vec![name.to_owned()], ..Default::default() };
    for (certificate, insecure, problem) in [
        (Some(named("bob.example")), false, None),
        (Some(named("BOB.example")), false, None),
        (
            Some(named("*.example")),
            false,
            Some(
                "its certificate is for *.example, and * stands for nothing in SIP: not for bob.example",
            ),
        ),
        (
            Some(named("eve.example")),
            false,
            Some("its certificate is for eve.example, not bob.example"),
        ),
        (Some(named("eve.example")), true, None),
        (None, false, Some("it has shown no certificate")),
    ] {
        let parameters = PhoneParameters::without_server("alice").tls_insecure(insecure);
        let (mut phone, mut host) = started(parameters);
        phone.call("sip:bob@bob.example:5060", Default::default()).unwrap();
        phone.handle_deadline(&mut host);
        let id = host.names.pop_front().unwrap();
        phone.handle_inbound(&mut host, resolved(id, &[IpAddr::from(BOB)]));
        let id = host.flows.pop_front().unwrap();
        let (local, certificate) = ("10.0.0.1:5061".parse().unwrap(), certificate.as_ref());
        let opened = Inbound::FlowOpened { id, flow: SECURE, local, certificate };
        phone.handle_inbound(&mut host, opened);
        phone.handle_deadline(&mut host);
        let Some(problem) = problem else {
            assert_eq!((host.closed.len(), host.binds.len()), (0, 1));
            continue;
        };
        assert_eq!((host.closed, host.binds.len()), (vec![SECURE], 0));
        let (peer, problem) = ("bob.example".to_owned(), problem.to_owned());
        let error = Error::Untrusted { peer, problem };
        assert_eq!(ending(&mut phone), Some((EndedBy::Error, Some(error))));
    }
}

#[test]
fn a_certificate_is_not_asked_for_again_and_again() {
    let (mut phone, mut host) = started(PhoneParameters::new("10.0.0.9", "alice"));
    let id = host.flows.pop_front().unwrap();
    let failure = FlowFailure::Untrusted("its certificate expired on 2 May 2026");
    phone.handle_inbound(&mut host, Inbound::FlowFailed { id, failure });
    assert_eq!(phone.status(), PhoneStatus::Failed);
    let told = core::iter::from_fn(|| phone.next_event()).find_map(|event| match event {
        Event::Phone(PhoneEvent::RegistrationFailed { error, .. }) => error,
        _ => None,
    });
    let sentence = "10.0.0.9 cannot be trusted: its certificate expired on 2 May 2026";
    assert_eq!(told.unwrap().to_string(), sentence);
}

#[test]
fn the_next_address_of_a_name_is_tried() {
    let (mut phone, mut host) = started(PhoneParameters::without_server("alice"));
    phone.call("sip:bob@bob.example:5060", Default::default()).unwrap();
    phone.handle_deadline(&mut host);
    let id = host.names.pop_front().unwrap();
    let addresses = [IpAddr::from(PEER), IpAddr::from(BOB)];
    phone.handle_inbound(&mut host, resolved(id, &addresses));
    let id = host.flows.pop_front().unwrap();
    let failure = FlowFailure::Unreachable("refused");
    phone.handle_inbound(&mut host, Inbound::FlowFailed { id, failure });
    opened(&mut phone, &mut host, "10.0.0.1:5060");
    assert_eq!(host.binds.len(), 1);
}

#[test]
fn ports_that_come_after_the_end_go_back_at_once() {
    let (mut phone, mut host) = started(PhoneParameters::without_server("alice"));
    let call = phone.call("sip:bob@10.0.0.2", Default::default()).unwrap();
    phone.handle_deadline(&mut host);
    opened(&mut phone, &mut host, "10.0.0.1:5060");
    phone.cancel(call).unwrap();
    phone.handle_deadline(&mut host);
    assert_eq!(ending(&mut phone), Some((EndedBy::Local, None)));
    let id = host.binds.pop_front().unwrap();
    phone.handle_inbound(&mut host, bound(id, 9));
    assert_eq!(host.released, [MediaPort(9)]);
    assert!(host.sent.is_empty());
}

#[test]
fn ports_that_come_after_stop_go_back_at_once() {
    let (mut phone, mut host) = started(PhoneParameters::without_server("alice"));
    phone.call("sip:bob@10.0.0.2", Default::default()).unwrap();
    phone.handle_deadline(&mut host);
    opened(&mut phone, &mut host, "10.0.0.1:5060");
    phone.stop();
    phone.handle_deadline(&mut host);
    assert_eq!(phone.status(), PhoneStatus::Inactive);
    let id = host.binds.pop_front().unwrap();
    phone.handle_inbound(&mut host, bound(id, 9));
    assert_eq!(host.released, [MediaPort(9)]);
    assert_eq!(phone.next_deadline(), None);
}

#[test]
fn many_calls_to_one_peer_ask_for_one_flow() {
    let (mut phone, mut host) = started(PhoneParameters::without_server("alice"));
    for _ in 0..10 {
        phone.call("sip:bob@10.0.0.2", Default::default()).unwrap();
    }
    phone.handle_deadline(&mut host);
    assert_eq!(host.flows.len(), 1);
    opened(&mut phone, &mut host, "10.0.0.1:5060");
    assert_eq!(host.binds.len(), 10);
    phone.call("sip:bob@10.0.0.2", Default::default()).unwrap();
    phone.handle_deadline(&mut host);
    assert_eq!((host.flows.len(), host.binds.len()), (0, 11), "it is kept");
    pass(&mut phone, &mut host, Duration::from_secs(61));
    phone.call("sip:bob@10.0.0.2", Default::default()).unwrap();
    phone.handle_deadline(&mut host);
    assert_eq!(host.flows.len(), 1, "but not for ever");
}

#[test]
fn a_peer_outside_the_network_is_not_told_an_address_it_cannot_reach() {
    let mut parameters = PhoneParameters::without_server("alice");
    parameters.bind_network = "192.168.0.0/16".parse().unwrap();
    let (mut phone, mut host) = started(parameters.clone());
    phone.call("sip:bob@10.0.0.2", Default::default()).unwrap();
    phone.handle_deadline(&mut host);
    opened(&mut phone, &mut host, "192.168.0.7:5060");
    let nat = Error::Nat { peer: IpAddr::from(BOB) };
    assert_eq!(ending(&mut phone), Some((EndedBy::Error, Some(nat))));
    // With a name for the outside it is told that, in Contact, Via and SDP.
    parameters.remote_hostname = Some("203.0.113.5".to_owned());
    let (mut phone, mut host) = started(parameters);
    phone.call("sip:bob@10.0.0.2", Default::default()).unwrap();
    phone.handle_deadline(&mut host);
    opened(&mut phone, &mut host, "192.168.0.7:5060");
    let id = host.binds.pop_front().unwrap();
    phone.handle_inbound(&mut host, bound(id, 1));
    let invite = &host.sent[0];
    assert!(invite.contains("Via: SIP/2.0/UDP 203.0.113.5:5060;"), "{invite}");
    assert!(invite.contains("Contact: <sip:alice@203.0.113.5:5060>"), "{invite}");
    assert!(invite.contains("c=IN IP4 203.0.113.5") && !invite.contains("192.168"), "{invite}");
}

#[test]
fn a_fixed_next_hop_takes_every_request() {
    let mut parameters = PhoneParameters::without_server("alice");
    parameters.next_hop = Some(SocketAddr::new(IpAddr::from(PEER), 5070));
    let mut scene = Scene::new();
    let alice = scene.phone(ALICE, parameters);
    let hop = SocketAddr::new(IpAddr::from(PEER), 5070);
    let peer = scene.sim.add_at(
        hop,
        ScriptedPeer::reacting(|peer, arrival| {
            if !arrival.first_line().starts_with("ACK") {
                peer.reply(arrival, "200 OK", &described());
            }
        }),
    );
    scene.start(&alice);
    let call = scene.call(&alice, "sip:bob@somewhere.example");
    scene.reach(&alice, call, CallState::Answered);
    scene.tell(&alice, |phone| phone.hangup(call)).unwrap();
    scene.ended(&alice, call);
    for method in ["INVITE sip:bob@somewhere.example", "ACK sip:bob@10.0.0.9", "BYE"] {
        assert_eq!(scene.sim[peer].count(method), 1, "{method}");
    }
}

#[test]
fn an_unspecified_address_is_never_told() {
    let (mut phone, mut host) = started(PhoneParameters::without_server("alice"));
    phone.call("sip:bob@10.0.0.2", Default::default()).unwrap();
    phone.handle_deadline(&mut host);
    opened(&mut phone, &mut host, "0.0.0.0:5060");
    assert!(matches!(ending(&mut phone), Some((EndedBy::Error, Some(Error::Nat { .. })))));
    assert!(host.sent.is_empty());
}

#[test]
fn no_ports_are_an_error_for_the_caller_and_503_for_those_who_call() {
    let mut scene = Scene::new();
    let few = PhoneParameters::without_server("bob").rtp_ports(10_000, 10_001);
    let bob = scene.phone(BOB, few);
    scene.start(&bob);
    let peer = scene.silent_peer();
    let (_, _) = scene.called_by(peer, &bob);
    let second = request("INVITE", 5, None, &session(&sdp("sendrecv")));
    scene.say(peer, &bob, &second.replace("Call-ID: ", "Call-ID: second-"));
    assert_eq!(scene.answer_to(peer, "INVITE", 5).0, 503);
    let call = scene.call(&bob, "sip:x@10.0.0.9");
    assert_eq!(scene.ended(&bob, call), (EndedBy::Error, None));
    let error = bob.events().into_iter().find_map(|event| match event {
        Event::Call { event: CallEvent::Ended(ending), .. } => ending.error,
        _ => None,
    });
    assert_eq!(error, Some(Error::NoPortsAvailable { low: 10_000, high: 10_001 }));
}

#[test]
fn stop_ends_calls_in_every_state() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let peer = scene.silent_peer();
    let (answered, heard) = scene.answered(&alice, &bob);
    let dialing = scene.call(&alice, "sip:nobody@10.0.0.9");
    let ringing = scene.call(&alice, "sip:bob@10.0.0.2");
    scene.run(Duration::from_millis(100));
    let fresh = scene.call(&alice, "sip:bob@10.0.0.2");
    scene.say(peer, &alice, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    let called = scene.incoming(&alice);
    scene.tell(&alice, |phone| phone.stop());
    for call in [answered, dialing, ringing, fresh, called] {
        assert_eq!(scene.ended(&alice, call).0, EndedBy::Local);
    }
    assert_eq!(scene.ended(&bob, heard).0, EndedBy::Remote);
    assert_eq!(scene.answer_to(peer, "INVITE", 1).0, 480);
    scene.run(Duration::from_secs(13));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Inactive);
    assert_eq!(
        alice.events().last(),
        Some(&Event::Phone(PhoneEvent::Status(PhoneStatus::Inactive)))
    );
    scene.assert_idle(&alice);
    assert_eq!(scene.sim[bob.id].state(heard), None);
    // A phone that stops or has stopped takes no calls.
    let late = scene.tell(&alice, |phone| phone.call("sip:x@10.0.0.2", Default::default()));
    assert!(matches!(late, Err(Error::InvalidStatus { status: PhoneStatus::Inactive, .. })));
    let before = scene.sim[peer].received().len();
    scene.say(peer, &alice, &request("OPTIONS", 9, None, ""));
    assert_eq!(scene.sim[peer].received().len(), before);
}

#[test]
fn a_phone_that_stops_takes_no_new_calls() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let peer = scene.silent_peer();
    scene.answered(&alice, &bob);
    scene.sim.partition(ALICE, BOB);
    scene.tell(&alice, |phone| phone.stop());
    scene.say(peer, &alice, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
    assert_eq!(scene.answer_to(peer, "INVITE", 1).0, 480);
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Deregistering);
    scene.run(Duration::from_secs(13));
    assert_eq!(scene.sim[alice.id].status(), PhoneStatus::Inactive);
    assert_eq!(scene.sim.media_ports(alice.id), 0);
}

#[test]
fn a_ping_is_answered_or_not() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    scene.sim.set_default_link(crate::sim::Link::slow(Duration::from_millis(20)));
    let ping = scene.tell(&alice, |phone| phone.options("sip:bob@10.0.0.2")).unwrap();
    let silent = scene.tell(&alice, |phone| phone.options("sip:x@10.0.0.77")).unwrap();
    let unknown = scene.tell(&alice, |phone| phone.options("sip:x@nowhere.example")).unwrap();
    scene.run(Duration::from_secs(40));
    let pong = |wanted| {
        alice.events().into_iter().find_map(|event| match event {
            Event::Response { request, reply } if request == wanted => {
                Some(reply.ok().map(|reply| (reply.cause.code, reply.round_trip.as_millis())))
            }
            _ => None,
        })
    };
    assert_eq!(pong(ping), Some(Some((200, 40))));
    assert_eq!(pong(silent), Some(None));
    assert_eq!(pong(unknown), Some(None));
    assert!(scene.tell(&alice, |phone| phone.options("")).is_err());
    assert_eq!(scene.sim[bob.id].calls().count(), 0);
}

#[test]
fn a_call_outlives_a_host_that_stalls() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.direct(ALICE, "alice"), scene.direct(BOB, "bob"));
    let (calling, _) = scene.answered(&alice, &bob);
    scene.sim.stall(bob.id, Duration::from_secs(3));
    scene.tell(&alice, |phone| phone.hangup(calling)).unwrap();
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.sim[alice.id].state(calling), Some(CallState::Ended));
    assert_eq!(scene.ended(&alice, calling), (EndedBy::Local, None));
    assert_eq!(scene.sent(ALICE, "BYE").len(), 3);
}

#[test]
fn an_added_stream_waits_for_its_ports_and_is_answered_whatever_comes_of_the_call() {
    let second = "m=audio 4002 RTP/AVP 0\n";
    for hangs_up in [false, true] {
        let (mut phone, mut host) = started(PhoneParameters::without_server("bob"));
        let say = |phone: &mut Phone, host: &mut Sulking, text: &str| {
            host.sent.clear();
            let from = SocketAddr::new(IpAddr::from(PEER), 5060);
            phone.handle_inbound(
                host,
                Inbound::Datagram { flow: FLOW, from, bytes: text.as_bytes() },
            );
        };
        say(&mut phone, &mut host, &request("INVITE", 1, None, &session(&sdp("sendrecv"))));
        opened(&mut phone, &mut host, "10.0.0.2:5060");
        let id = host.binds.pop_front().expect("a pair is asked for");
        phone.handle_inbound(&mut host, bound(id, 1));
        let call = phone.calls().next().expect("it rings");
        phone.answer(call).unwrap();
        phone.handle_deadline(&mut host);
        let answer = host.sent.iter().find(|text| text.starts_with("SIP/2.0 200")).unwrap();
        let tag = tag(header(answer, "To").unwrap()).to_owned();
        say(&mut phone, &mut host, &request("ACK", 1, Some(&tag), ""));
        let both = session(&(sdp("sendrecv") + second));
        say(&mut phone, &mut host, &request("INVITE", 2, Some(&tag), &both));
        let finals = |host: &Sulking| -> Vec<String> {
            let finals = host.sent.iter().filter(|text| !text.starts_with("SIP/2.0 1"));
            finals.map(|text| text.lines().next().unwrap().to_owned()).collect()
        };
        assert_eq!(finals(&host), Vec::<String>::new(), "it waits");
        let id = host.binds.pop_front().expect("another pair is asked for");
        say(&mut phone, &mut host, &request("INVITE", 3, Some(&tag), &both));
        assert_eq!(finals(&host), ["SIP/2.0 500 Server Internal Error"]);
        assert!(header(&host.sent[0], "Retry-After").is_some());
        host.sent.clear();
        if hangs_up {
            phone.hangup(call).unwrap();
            phone.handle_deadline(&mut host);
            assert_eq!(finals(&host)[0], "SIP/2.0 487 Request Terminated");
            assert!(finals(&host)[1].starts_with("BYE "), "{:?}", finals(&host));
            phone.handle_inbound(&mut host, bound(id, 2));
            pass(&mut phone, &mut host, Duration::from_secs(40));
            assert_eq!(host.released, [MediaPort(1), MediaPort(2)]);
        } else {
            phone.handle_inbound(&mut host, bound(id, 2));
            assert_eq!(finals(&host), ["SIP/2.0 200 OK"]);
            let answer = host.sent.last().unwrap();
            assert_eq!(answer.matches("m=audio 10000 ").count(), 2, "{answer}");
        }
    }
}
