//! Lines on one address: what comes in reaches the right one.

use super::*;
use crate::call::CallOptions;
use crate::config::PhoneParameters;
use crate::event::{CallEvent, CallId, CallState, Event, PhoneStatus};
use crate::exchange::{Exchange, ExchangeParameters};
use crate::host::{MediaPort, RequestId, Transport};
use crate::sim::{NodeId, ScriptedPeer, Simulation};
use crate::sip::PARSED;
use crate::time::Duration;
use crate::transaction::testing::{FLOW, TestHost};

const BOARD: [u8; 4] = [10, 0, 0, 1];
const PEER: [u8; 4] = [10, 0, 0, 2];
const SERVER: &str = "10.0.0.9";
const OTHER: &str = "10.0.0.8";

type Board = NodeId<Switchboard<Phone>>;

fn started(parameters: PhoneParameters) -> Phone {
    let mut phone = Phone::new(parameters).unwrap();
    phone.start().unwrap();
    phone
}

fn at(server: &str, user: &str) -> PhoneParameters {
    PhoneParameters::new(server, user).password("secret")
}

fn exchange(sim: &mut Simulation, address: &str, users: &[String]) -> NodeId<Exchange> {
    let address = format!("{address}:5060").parse().unwrap();
    let parameters = ExchangeParameters::new(address);
    let add = |parameters: ExchangeParameters, user: &String| parameters.user(user, "secret");
    sim.add_at(address, Exchange::new(users.iter().fold(parameters, add)))
}

/// A board with these phones, all registered.
fn board(sim: &mut Simulation, phones: impl IntoIterator<Item = PhoneParameters>) -> Board {
    let mut board = Switchboard::new();
    for parameters in phones {
        board.add(started(parameters)).unwrap();
    }
    let board = sim.add(BOARD, board);
    sim.run_for(Duration::from_secs(2));
    for (id, phone) in sim[board].lines() {
        assert_eq!(phone.status(), PhoneStatus::Registered, "line {id}");
    }
    board
}

/// The one line that has a call, and the call.
fn ringing(sim: &Simulation, board: Board) -> (LineId, CallId) {
    let mut calls = sim[board].lines().flat_map(|(id, phone)| phone.calls().map(move |c| (id, c)));
    let found = calls.next().expect("somebody rings");
    assert_eq!(calls.next(), None, "and nobody else");
    found
}

fn user(sim: &Simulation, board: Board, line: LineId) -> String {
    sim[board].line(line).unwrap().parameters().user.clone()
}

fn states(sim: &mut Simulation, board: Board, line: LineId) -> Vec<CallState> {
    let phone = sim[board].line_mut(line).unwrap();
    let events = core::iter::from_fn(|| phone.next_event());
    let state = |event| match event {
        Event::Call { event: CallEvent::State { state, .. }, .. } => Some(state),
        _ => None,
    };
    events.filter_map(state).collect()
}

#[test]
fn each_of_three_hundred_accounts_gets_its_own_calls() {
    let mut sim = Simulation::new(11);
    let users: Vec<String> = (0..300).map(|n| format!("u{n}")).collect();
    let all: Vec<String> = users.iter().cloned().chain(["carol".to_owned()]).collect();
    exchange(&mut sim, SERVER, &all);
    let board = board(&mut sim, users.iter().map(|user| at(SERVER, user)));
    let carol = sim.add(PEER, started(at(SERVER, "carol")));
    sim.run_for(Duration::from_secs(1));
    for number in [0, 7, 123, 299] {
        let calling = sim[carol].call(&format!("u{number}"), CallOptions::default()).unwrap();
        sim.run_for(Duration::from_millis(300));
        let (line, call) = ringing(&sim, board);
        assert_eq!(user(&sim, board, line), format!("u{number}"));
        sim[board].line_mut(line).unwrap().answer(call).unwrap();
        sim.run_for(Duration::from_millis(300));
        assert_eq!(sim[carol].state(calling), Some(CallState::Answered));
        // One end or the other hangs up, by turns.
        match number % 2 {
            0 => sim[carol].hangup(calling).unwrap(),
            _ => sim[board].line_mut(line).unwrap().hangup(call).unwrap(),
        }
        sim.run_for(Duration::from_millis(300));
        assert_eq!(sim[carol].calls().count(), 0);
        assert_eq!(states(&mut sim, board, line), [CallState::Answered, CallState::Ended]);
    }
}

#[test]
fn lines_call_each_other_and_cancel() {
    let mut sim = Simulation::new(12);
    let users = ["alice", "bob"].map(str::to_owned);
    exchange(&mut sim, SERVER, &users);
    let board = board(&mut sim, users.iter().map(|user| at(SERVER, user)));
    let (alice, bob) = (LineId(1), LineId(2));
    let calling = sim[board].line_mut(alice).unwrap().call("bob", CallOptions::default()).unwrap();
    sim.run_for(Duration::from_millis(300));
    assert_eq!(sim[board].line(bob).unwrap().calls().count(), 1);
    sim[board].line_mut(alice).unwrap().cancel(calling).unwrap();
    sim.run_for(Duration::from_millis(300));
    assert_eq!(states(&mut sim, board, bob), [CallState::Ended]);
    assert_eq!(states(&mut sim, board, alice).last(), Some(&CallState::Ended));
}

#[test]
fn the_same_name_at_two_servers_is_two_lines() {
    let mut sim = Simulation::new(13);
    let users = ["alice", "carol"].map(str::to_owned);
    exchange(&mut sim, SERVER, &users);
    exchange(&mut sim, OTHER, &users);
    let board = board(&mut sim, [at(SERVER, "alice"), at(OTHER, "alice")]);
    for (server, line) in [(SERVER, LineId(1)), (OTHER, LineId(2))] {
        let carol = sim.add(PEER, started(at(server, "carol")));
        sim.run_for(Duration::from_secs(1));
        let call = sim[carol].call("alice", CallOptions::default()).unwrap();
        sim.run_for(Duration::from_millis(300));
        assert_eq!(ringing(&sim, board).0, line);
        sim[carol].cancel(call).unwrap();
        sim.run_for(Duration::from_secs(1));
    }
}

#[test]
fn who_is_called_directly_is_found_by_name() {
    let mut sim = Simulation::new(14);
    let phones =
        ["alice", "bob"].map(|user| PhoneParameters::without_server(user).accept_any_user(false));
    let board = board(&mut sim, phones);
    let dave = sim.add(PEER, started(PhoneParameters::without_server("dave")));
    sim.run_for(Duration::from_secs(1));
    let call = sim[dave].call("sip:bob@10.0.0.1", CallOptions::default()).unwrap();
    sim.run_for(Duration::from_millis(300));
    assert_eq!(ringing(&sim, board).0, LineId(2));
    sim[dave].cancel(call).unwrap();
    sim.run_for(Duration::from_secs(1));
    // Nobody's: the first line says so.
    sim[dave].call("sip:erin@10.0.0.1", CallOptions::default()).unwrap();
    sim.run_for(Duration::from_millis(300));
    let ended = core::iter::from_fn(|| sim[dave].next_event()).find_map(|event| match event {
        Event::Call { event: CallEvent::Ended(ending), .. } => {
            ending.cause.map(|cause| cause.code).filter(|code| *code != 487)
        }
        _ => None,
    });
    assert_eq!(ended, Some(404));
}

#[test]
fn what_names_no_line_and_what_cannot_be_read_is_answered_once() {
    let mut sim = Simulation::new(15);
    let phones = ["alice", "bob"].map(PhoneParameters::without_server);
    board(&mut sim, phones);
    let peer = sim.add(PEER, ScriptedPeer::new());
    let options = |uri: &str, tag: &str| {
        format!(
            "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK{}\r\n\
             From: <sip:x@10.0.0.2>;tag=1\r\nTo: <sip:bob@10.0.0.1>{tag}\r\nCall-ID: {}\r\n\
             CSeq: 1 OPTIONS\r\nContact: <sip:x@10.0.0.2>\r\n\r\n",
            uri.len() + tag.len(),
            uri.len() + tag.len(),
        )
    };
    for (request, expected) in [
        (options("sip:bob@10.0.0.1;line=1", ""), "200"),
        (options("sip:bob@10.0.0.1;line=4096", ""), "200"),
        (options("sip:10.0.0.1;line=-1", ""), "200"),
        (options("sip:bob@10.0.0.1;line=70000", ""), "200"),
        (options("sip:bob@10.0.0.1", ";tag=ffff00000000beef"), "481"),
        ("OPTIONS sip:bob@10.0.0.1 SIP/2.0\r\n\r\n".to_owned(), "400"),
    ] {
        let to = std::net::SocketAddr::from((BOARD, 5060));
        sim[peer].send(to, &request);
        sim.run_for(Duration::from_millis(100));
        let answers = sim[peer].take();
        let lines: Vec<String> = answers.iter().map(|arrival| arrival.first_line()).collect();
        match expected {
            // Without Via it cannot be answered.
            "400" => assert!(lines.is_empty(), "{lines:?}"),
            _ => assert!(lines.len() == 1 && lines[0].contains(expected), "{request}: {lines:?}"),
        }
    }
    // A keep-alive is nobody's in particular, and no trouble.
    sim[peer].send(std::net::SocketAddr::from((BOARD, 5060)), "\r\n\r\n");
    sim.run_for(Duration::from_millis(100));
}

#[test]
fn a_line_that_is_taken_away_leaves_the_others_alone() {
    let mut sim = Simulation::new(16);
    let users = ["alice", "bob", "carol"].map(str::to_owned);
    let server = exchange(&mut sim, SERVER, &users);
    let board = board(&mut sim, users.iter().take(2).map(|user| at(SERVER, user)));
    sim[board].line_mut(LineId(1)).unwrap().stop();
    sim.run_for(Duration::from_secs(1));
    assert_eq!(sim[server].contacts("alice"), Some(Vec::new()));
    assert_eq!(sim[server].contacts("bob").map(|contacts| contacts.len()), Some(1));
    let gone = sim.with(board, |board, host| board.remove(host, LineId(1)));
    assert_eq!(gone.map(|phone| phone.status()), Some(PhoneStatus::Inactive));
    let carol = sim.add(PEER, started(at(SERVER, "carol")));
    sim.run_for(Duration::from_secs(1));
    sim[carol].call("bob", CallOptions::default()).unwrap();
    sim.run_for(Duration::from_millis(300));
    assert_eq!(ringing(&sim, board).0, LineId(2));
    let again = sim[board].add(started(at(SERVER, "alice"))).unwrap();
    assert_eq!(again, LineId(3), "a number is not given out again at once");
    sim.run_for(Duration::from_secs(1));
    assert_eq!(sim[board].line(again).unwrap().status(), PhoneStatus::Registered);
}

#[test]
fn a_tag_and_a_branch_name_their_line() {
    let line = LineId(0x0abc);
    assert_eq!(line.in_tag(u64::MAX), 0x0abc_ffff_ffff_ffff);
    assert_eq!(LineId::of_tag(line.in_tag(5)), line);
    assert_eq!(LineId::of_branch(&format!("{}77", line.in_branch())), Some(line));
    for text in ["", "12", "zzzz", "é1234"] {
        assert_eq!(LineId::of_branch(text), None, "{text}");
    }
    for text in ["", "-1", "+1", "65536", "1x"] {
        assert_eq!(LineId::of_param(text), None, "{text}");
    }
}

/// How many messages an endpoint at the board's address parses of one INVITE for Bob, which is answered
/// by 180.
fn parsed<E: Endpoint + 'static>(endpoint: E, transport: Transport) -> usize {
    let mut sim = Simulation::new(18);
    let node = sim.add(BOARD, endpoint);
    let peer = sim.add(PEER, ScriptedPeer::new());
    sim.set_listening(node, transport, true);
    let invite = format!(
        "INVITE sip:bob@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{} 10.0.0.2:5060;branch=z9hG4bK1\r\n\
         From: <sip:x@10.0.0.2>;tag=1\r\nTo: <sip:bob@10.0.0.1>\r\nCall-ID: 1\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:x@10.0.0.2>\r\nContent-Length: 0\r\n\r\n",
        transport.as_str()
    );
    sim.run_for(Duration::from_millis(100));
    let before = PARSED.get();
    sim[peer].send_by(transport, node.address(), &invite);
    sim.run_for(Duration::from_millis(400));
    assert_eq!(sim[peer].count("180"), 1, "{transport:?}");
    PARSED.get() - before
}

#[test]
fn an_invite_is_parsed_once() {
    let phone = |user| started(PhoneParameters::without_server(user).accept_any_user(false));
    let softphone = |user| {
        let mut softphone = Softphone::new(PhoneParameters::without_server(user)).unwrap();
        softphone.phone_mut().start().unwrap();
        softphone
    };
    for transport in Transport::ALL {
        assert_eq!(parsed(phone("bob"), transport), 1, "a phone alone, {transport:?}");
        for users in [&["bob"][..], &["alice", "bob"]] {
            let mut board = Switchboard::new();
            for user in users {
                board.add(phone(user)).unwrap();
            }
            assert_eq!(parsed(board, transport), 1, "one line of {users:?}, {transport:?}");
        }
        let mut board = Switchboard::new();
        board.add(softphone("alice")).unwrap();
        board.add(softphone("bob")).unwrap();
        assert_eq!(parsed(board, transport), 1, "a line with media, {transport:?}");
    }
}

#[test]
fn lines_that_want_the_same_connection_share_one() {
    let mut sim = Simulation::new(17);
    let users = ["alice", "bob", "carol"].map(str::to_owned);
    let server = exchange(&mut sim, SERVER, &users);
    let at = |user: &String| at(SERVER, user).transport(Transport::Tcp);
    let board = board(&mut sim, users.iter().take(2).map(at));
    // Both have asked before there was one.
    assert_eq!(sim.connections(server), 1);
    // A third finds it there.
    sim.with(board, |board, _| board.add(started(at(&users[2]))).unwrap());
    sim.run_for(Duration::from_secs(1));
    assert!(sim[board].lines().all(|(_, phone)| phone.status() == PhoneStatus::Registered));
    assert_eq!(sim.connections(server), 1);
    // It is closed with the last of them.
    for line in 1..=3 {
        assert_eq!(sim.connections(server), 1, "line {line}");
        sim[board].line_mut(LineId(line)).unwrap().stop();
        sim.run_for(Duration::from_secs(1));
        sim.with(board, |board, host| drop(board.remove(host, LineId(line))));
        sim.run_for(Duration::from_secs(1));
    }
    assert_eq!(sim.connections(server), 0);
}

const TCP: Flow = Flow { transport: Transport::Tcp, id: 7 };

/// The host says that what was asked for last is there.
fn open(board: &mut Switchboard<Phone>, host: &mut TestHost, flow: Flow) -> usize {
    let (id, local) = (*host.asked.last().unwrap(), "10.0.0.1:5060".parse().unwrap());
    board.handle_inbound(host, Inbound::FlowOpened { id, flow, local, certificate: None });
    board.handle_deadline(host);
    host.asked.len()
}

#[test]
fn no_line_gets_a_connection_from_before_a_change_of_network() {
    let mut host = TestHost::new(1);
    let mut board = Switchboard::new();
    for user in ["alice", "bob"] {
        board.add(started(at(SERVER, user).transport(Transport::Tcp))).unwrap();
    }
    board.handle_deadline(&mut host);
    assert_eq!(open(&mut board, &mut host, TCP), 1, "they share it");
    for line in 1..=2 {
        board.line_mut(LineId(line)).unwrap().network_changed();
    }
    // The host has not yet said that the old one is over.
    board.handle_deadline(&mut host);
    assert_eq!((host.asked.len(), host.rebound), (2, 1), "one new connection for both");
    let new = Flow { id: 8, ..TCP };
    let sent = host.sent.len();
    assert_eq!(open(&mut board, &mut host, new), 2);
    assert_eq!(host.sent.len(), sent + 2, "both register anew");
    // The next change.
    board.line_mut(LineId(1)).unwrap().network_changed();
    board.handle_deadline(&mut host);
    assert_eq!((host.asked.len(), host.rebound), (3, 2));
    // A line that waits is not left waiting by the change of another.
    board.line_mut(LineId(2)).unwrap().network_changed();
    board.handle_deadline(&mut host);
    host.now += Duration::from_secs(2);
    board.line_mut(LineId(2)).unwrap().network_changed();
    board.handle_deadline(&mut host);
    board.handle_deadline(&mut host);
    assert_eq!(host.rebound, 3);
    let status = |line| board.line(LineId(line)).unwrap().status();
    assert_eq!([status(1), status(2)], [PhoneStatus::Registering; 2]);
    let asked = open(&mut board, &mut host, Flow { id: 9, ..TCP });
    host.now += Duration::from_secs(3);
    board.handle_deadline(&mut host);
    assert!(host.asked.len() > asked || host.sent.len() > sent + 3, "line 1 tries again");
}

#[test]
fn the_ports_of_a_line_that_is_taken_away_are_given_back() {
    let mut host = TestHost::new(1);
    let mut board = Switchboard::new();
    for user in ["alice", "bob"] {
        board.add(started(PhoneParameters::without_server(user))).unwrap();
    }
    let bound = |board: &mut Switchboard<Phone>, host: &mut TestHost, id, port| {
        let address = "10.0.0.1:4000".parse().unwrap();
        let (rtp, rtcp) = (address, address);
        board.handle_inbound(host, Inbound::MediaBound { id, port, rtp, rtcp });
    };
    for _ in 0..2 {
        let phone = board.line_mut(LineId(1)).unwrap();
        phone.call("sip:carol@10.0.0.3", CallOptions::default()).unwrap();
    }
    board.handle_deadline(&mut host);
    open(&mut board, &mut host, FLOW);
    let ids: Vec<RequestId> = host.media.0.clone();
    assert_eq!(ids.len(), 2, "each call wants a pair");
    bound(&mut board, &mut host, ids[0], MediaPort(1));
    assert_eq!(host.media.1, []);
    board.remove(&mut host, LineId(1)).unwrap();
    assert_eq!(host.media.1, [MediaPort(1)], "what it had");
    bound(&mut board, &mut host, ids[1], MediaPort(2));
    assert_eq!(host.media.1, [MediaPort(1), MediaPort(2)], "what it had asked for");
}
