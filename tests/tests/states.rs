//! docs/states.md, tried: every command in every state. The document is what is tested, so neither
//! can change without the other.

use offhook_core::call::CallOptions;
use offhook_core::config::PhoneParameters;
use offhook_core::error::Error;
use offhook_core::event::{CallDirection, CallId, CallState, PhoneStatus};
use offhook_core::phone::Phone;
use offhook_core::time::Duration;
use offhook_tests::stranger::{Stranger, described};
use offhook_tests::world::{STRANGER, Telephone, World};

const DOCUMENT: &str = include_str!("../../docs/states.md");

/// A table of the document whose header begins with these columns.
struct Table {
    commands: Vec<&'static str>,
    rows: Vec<Vec<&'static str>>,
}

impl Table {
    /// Cells that name a row come first; the others are the commands'.
    fn find(names: usize, first: &str, has: &str) -> Self {
        let lines: Vec<&'static str> = DOCUMENT.lines().collect();
        let is_head =
            |line: &&'static str| cells(line).first() == Some(&first) && line.contains(has);
        let at = lines.iter().position(is_head).expect("the table is there");
        let head = lines[at];
        let rows = lines[at + 2..].iter().take_while(|line| line.starts_with('|'));
        let rows: Vec<_> = rows.map(|line| cells(line)).collect();
        let commands = cells(head).split_off(names);
        assert!(rows.iter().all(|row| row.len() == names + commands.len()), "{rows:?}");
        Self { commands, rows }
    }

    /// The table has a column for each command that is tried, and no other.
    fn expect_commands(&self, names: impl Iterator<Item = &'static str>) {
        assert_eq!(self.commands, names.collect::<Vec<_>>());
    }

    /// The table has a row for each state.
    fn expect_rows(&self, wanted: &[&str]) {
        let rows: Vec<String> =
            self.rows.iter().map(|row| row[..row.len() - self.commands.len()].join(" ")).collect();
        assert_eq!(rows, wanted);
    }
}

fn cells(line: &'static str) -> Vec<&'static str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

type PhoneCommand = (&'static str, fn(&mut Phone) -> Result<(), Error>);

const PHONE_COMMANDS: [PhoneCommand; 6] = [
    ("start", |phone| phone.start()),
    ("stop", |phone| {
        phone.stop();
        Ok(())
    }),
    ("call", |phone| phone.call("sip:x@10.0.2.1", CallOptions::default()).map(drop)),
    ("message", |phone| phone.message("sip:x@10.0.2.1", b"hello", "text/plain").map(drop)),
    ("options", |phone| phone.options("sip:x@10.0.2.1").map(drop)),
    ("request", |phone| phone.request("JUMP", "sip:x@10.0.2.1", Default::default()).map(drop)),
];

/// A phone in a status, and why it is there.
fn phone_in(status: PhoneStatus) -> (World, Telephone) {
    let mut world = World::new(7);
    let mut registered = false;
    Stranger::reacting(&mut world, move |peer, arrival| match status {
        PhoneStatus::Failed => peer.reply(arrival, "403 Forbidden", ""),
        PhoneStatus::Registering => {}
        // It takes the registration, but not the end of it.
        _ if registered => {}
        _ => {
            registered = true;
            peer.reply(arrival, "200 OK", "Expires: 120\n");
        }
    });
    let alice = world.add(PhoneParameters::new(&STRANGER.to_string(), "alice")).unwrap();
    if status != PhoneStatus::Inactive {
        world.act(&alice, |phone| phone.start()).unwrap();
        world.pass(Duration::from_secs(1));
    }
    if status == PhoneStatus::Deregistering {
        world.sim.node_mut(alice.node).phone_mut().stop();
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(world.sim[alice.node].phone().status(), status);
    (world, alice)
}

#[test]
fn each_command_of_a_phone_in_each_status() {
    let table = Table::find(1, "status", "start");
    table.expect_commands(PHONE_COMMANDS.iter().map(|(name, _)| *name));
    use PhoneStatus::{Deregistering, Failed, Inactive, Registered, Registering};
    let statuses = [Inactive, Registering, Registered, Deregistering, Failed];
    let names: Vec<String> = statuses.iter().map(|s| format!("{s:?}").to_uppercase()).collect();
    table.expect_rows(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (row, status) in table.rows.iter().zip(statuses) {
        for (cell, (name, command)) in row[1..].iter().zip(PHONE_COMMANDS) {
            let (mut world, alice) = phone_in(status);
            let result = command(world.sim.node_mut(alice.node).phone_mut());
            let (mut other, _) = phone_in(status);
            for world in [&mut world, &mut other] {
                world.pass(Duration::from_secs(1));
            }
            let unchanged = world.sim.trace_hash() == other.sim.trace_hash();
            let what = format!("{name} while {status:?}: {result:?}, unchanged {unchanged}");
            let refused =
                matches!(&result, Err(Error::InvalidStatus { status: s, .. }) if *s == status);
            match *cell {
                "yes" => assert!(result.is_ok() && !unchanged, "{what}"),
                "no" => assert!(refused && unchanged, "{what}"),
                "nothing" => assert!(result.is_ok() && unchanged, "{what}"),
                other => panic!("{other} is no entry"),
            }
        }
    }
}

type CallCommand = (&'static str, fn(&mut Phone, CallId) -> Result<(), Error>);

const CALL_COMMANDS: [CallCommand; 10] = [
    ("answer", |phone, call| phone.answer(call)),
    ("progress", |phone, call| phone.progress(call)),
    ("deny", |phone, call| phone.deny(call, 603, None)),
    ("redirect", |phone, call| phone.redirect(call, "sip:x@10.0.2.1")),
    ("cancel", |phone, call| phone.cancel(call)),
    ("hangup", |phone, call| phone.hangup(call)),
    ("hold", |phone, call| phone.hold(call)),
    ("resume", |phone, call| phone.resume(call)),
    ("transfer", |phone, call| phone.transfer(call, "sip:x@10.0.2.2", Default::default())),
    ("request", |phone, call| phone.request_within(call, "INFO", Default::default()).map(drop)),
];

/// The states of a call by direction, as the document has them.
const STATES: [(CallDirection, CallState); 9] = [
    (CallDirection::Outgoing, CallState::Dialing),
    (CallDirection::Outgoing, CallState::Progress),
    (CallDirection::Outgoing, CallState::Answered),
    (CallDirection::Outgoing, CallState::Canceling),
    (CallDirection::Outgoing, CallState::Ended),
    (CallDirection::Incoming, CallState::Ringing),
    (CallDirection::Incoming, CallState::Progress),
    (CallDirection::Incoming, CallState::Answered),
    (CallDirection::Incoming, CallState::Ended),
];

fn state_names() -> Vec<String> {
    let name = |(direction, state): &(CallDirection, CallState)| {
        let direction = format!("{direction:?}").to_lowercase();
        format!("{direction} {}", state.as_str().to_uppercase())
    };
    STATES.iter().map(name).collect()
}

/// Alice in a call with a stranger, in that state. The stranger answers neither CANCEL nor BYE, so
/// the call stays there.
fn call_in(direction: CallDirection, state: CallState) -> (World, Telephone, CallId) {
    let mut world = World::new(7);
    let alice = world.telephone("alice").unwrap();
    let stranger = Stranger::reacting(&mut world, move |peer, arrival| {
        if arrival.method() == "INVITE" {
            match state {
                CallState::Dialing | CallState::Canceling => peer.reply(arrival, "180 Ringing", ""),
                CallState::Progress => peer.reply(arrival, "183 Session Progress", &described()),
                _ => peer.reply(arrival, "200 OK", &described()),
            }
        }
    });
    let call = match direction {
        CallDirection::Outgoing => world.call(&alice, "sip:stranger@10.0.2.1"),
        CallDirection::Incoming => match state {
            CallState::Ringing | CallState::Progress => stranger.rings(&mut world, &alice, ""),
            _ => stranger.calls(&mut world, &alice, "").map(|(call, _)| call),
        },
    };
    let call = call.unwrap();
    world.pass(Duration::from_millis(100));
    match (direction, state) {
        (_, CallState::Canceling) => world.act(&alice, |phone| phone.cancel(call)),
        (_, CallState::Ended) => world.act(&alice, |phone| phone.hangup(call)),
        (CallDirection::Incoming, CallState::Progress) => {
            world.act(&alice, |phone| phone.progress(call))
        }
        _ => Ok(()),
    }
    .unwrap();
    world.pass(Duration::from_millis(10));
    assert_eq!(world.sim[alice.node].phone().state(call), Some(state), "{direction:?}");
    (world, alice, call)
}

#[test]
fn each_command_of_a_call_in_each_state() {
    let table = Table::find(2, "call", "answer");
    table.expect_commands(CALL_COMMANDS.iter().map(|(name, _)| *name));
    let names = state_names();
    table.expect_rows(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (row, (direction, state)) in table.rows.iter().zip(STATES) {
        for (cell, (name, command)) in row[2..].iter().zip(CALL_COMMANDS) {
            let (mut world, alice, call) = call_in(direction, state);
            let result = command(world.sim.node_mut(alice.node).phone_mut(), call);
            let (mut other, other_alice, _) = call_in(direction, state);
            for world in [&mut world, &mut other] {
                world.pass(Duration::from_secs(1));
            }
            let unchanged = world.sim.trace_hash() == other.sim.trace_hash();
            let what =
                format!("{name} in {direction:?} {state}: {result:?}, unchanged {unchanged}");
            match *cell {
                "yes" => assert!(result.is_ok() && !unchanged, "{what}"),
                "no" => {
                    let refused =
                        matches!(&result, Err(Error::InvalidState { state: s, .. }) if *s == state);
                    assert!(refused && unchanged, "{what}");
                    let (now, then) = (&world.sim[alice.node], &other.sim[other_alice.node]);
                    assert_eq!(now.phone().info(call), then.phone().info(call), "{what}");
                }
                other => panic!("{other} is no entry"),
            }
        }
    }
    // Once its end was told there is no such call.
    let mut world = World::new(7);
    let alice = world.telephone("alice").unwrap();
    let stranger = Stranger::agreeable(&mut world);
    let call = stranger.is_called(&mut world, &alice).unwrap();
    world.act(&alice, |phone| phone.hangup(call)).unwrap();
    world.wait_ended(&alice, call, Duration::from_secs(33)).unwrap();
    for (name, command) in CALL_COMMANDS {
        let result = command(world.sim.node_mut(alice.node).phone_mut(), call);
        assert_eq!(result, Err(Error::NoSuchCall { call }), "{name}");
    }
}

/// Sound and digits natively, over real sockets: two phones, and a socket that never answers.
mod sound {
    use std::time::Duration;

    use offhook::{Call, CallDirection, CallState, Phone, PhoneParameters};

    use super::{Table, state_names};

    const COMMANDS: [&str; 3] = ["send_dtmf", "write_audio", "read_audio"];

    async fn phone(user: &str) -> Phone {
        let parameters = PhoneParameters::without_server(user).bind("127.0.0.1:0".parse().unwrap());
        let phone = Phone::new(parameters);
        phone.start().await.unwrap();
        phone
    }

    /// Tries the three commands; whether each was taken.
    async fn tried(call: &Call) -> [bool; 3] {
        let mut samples = [0; 160];
        let read = call.read_audio(8_000, &mut samples);
        let read = tokio::time::timeout(Duration::from_secs(60), read).await.expect("it returns");
        let code = |error: &offhook::Error| error.code();
        let results = [
            call.send_dtmf("1").map_err(|e| code(&e)),
            call.write_audio(8_000, &[0; 160]).map(drop).map_err(|e| code(&e)),
            read.map(drop).map_err(|e| code(&e)),
        ];
        let refusals = results.iter().filter_map(|result| result.err());
        let wanted = if call.state() == CallState::Ended { "ended" } else { "invalid_state" };
        refusals.for_each(|refusal| assert_eq!(refusal, wanted, "in {}", call.state()));
        results.map(|result| result.is_ok())
    }

    #[tokio::test]
    async fn each_command_of_sound_in_each_state() {
        let table = Table::find(2, "call", "send_dtmf");
        table.expect_commands(COMMANDS.into_iter());
        let names = state_names();
        table.expect_rows(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let (alice, bob) = (phone("alice").await, phone("bob").await);
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut seen = Vec::new();
        let mut note = |direction, call: &Call, taken: [bool; 3]| {
            seen.push((direction, call.state(), taken));
        };
        let (outgoing, incoming) = (CallDirection::Outgoing, CallDirection::Incoming);

        let nobody = alice.call(&format!("sip:x@{}", silent.local_addr().unwrap())).await.unwrap();
        note(outgoing, &nobody, tried(&nobody).await);
        nobody.cancel().await.unwrap();
        note(outgoing, &nobody, tried(&nobody).await);

        let mut rings = bob.incoming();
        let target = format!("sip:bob@{}", bob.bound_address().unwrap());
        let calling = alice.call(&target).await.unwrap();
        let called = rings.next().await.unwrap();
        note(incoming, &called, tried(&called).await);
        let mut events = calling.events();
        called.progress().await.unwrap();
        note(incoming, &called, tried(&called).await);
        while calling.state() != CallState::Progress {
            events.next().await.expect("it goes on");
        }
        note(outgoing, &calling, tried(&calling).await);
        called.answer().await.unwrap();
        calling.answered().await.unwrap();
        note(outgoing, &calling, tried(&calling).await);
        note(incoming, &called, tried(&called).await);
        calling.hangup().await.unwrap();
        calling.ended().await;
        called.ended().await;
        note(outgoing, &calling, tried(&calling).await);
        note(incoming, &called, tried(&called).await);

        for row in &table.rows {
            let found = seen.iter().find(|(direction, state, _)| {
                format!("{direction:?} {state}").to_uppercase() == row[..2].join(" ").to_uppercase()
            });
            let (_, _, taken) = found.unwrap_or_else(|| panic!("no call was {row:?}"));
            let told = taken.map(|taken| if taken { "yes" } else { "no" });
            assert_eq!(row[2..], told, "{row:?}");
        }
        assert_eq!(seen.len(), table.rows.len());
        drop(nobody);
        alice.stop().await;
        bob.stop().await;
    }
}
