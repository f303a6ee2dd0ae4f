//! Kamailio dies and comes back: phones are registered again, and calls have not noticed.

use std::thread;
use std::time::{Duration, Instant};

use offhook_tests::stall::unless_stalled;
use tempfile::tempdir;

use super::kamailio::{Algorithm, Kamailio, TRANSPORTS};
use super::process::Offhook;
use super::sound::{check_heard, write_tone};

/// How long after the server's return a phone may take to be registered: the longest back-off that the
/// few failures meanwhile can have led to, and a little for a busy machine.
const BACK_OFF: Duration = Duration::from_secs(60);

/// A call through Kamailio, each end playing a tone to the other.
struct Pair {
    name: String,
    caller: Offhook,
    called: Offhook,
}

impl Pair {
    fn phones(&self) -> [&Offhook; 2] {
        [&self.caller, &self.called]
    }
}

#[test]
fn phones_come_back_and_calls_go_on() {
    if Kamailio::is_installed() {
        unless_stalled(come_back_and_go_on);
    }
}

fn come_back_and_go_on() -> Result<(), String> {
    let directory = tempdir().unwrap();
    let at = directory.path();
    write_tone(&at.join("high.wav"), 1_000, 60_000);
    write_tone(&at.join("low.wav"), 600, 60_000);
    let mut kamailio = Kamailio::start(Algorithm::Md5);
    let begin = |transport: &str, who: &str| {
        let name = format!("{transport}-{who}");
        let account = |role: &str| {
            let account = kamailio.account(transport, &format!("{name}-{role}"));
            format!("--record-received {name}-{role}.wav --expires 4 {account}")
        };
        let answer = format!("answer -v --play low.wav {}", account("called"));
        let mut called = Offhook::start(at, &answer);
        called.wait("registered");
        let call = format!("call {name}-called --play high.wav {}", account("caller"));
        let caller = Offhook::start(at, &call);
        caller.wait_state("answered");
        // Until its ACK has come it may not hang up (RFC 3261 §15).
        called.wait_said("ACK sip:");
        Pair { name, caller, called }
    };
    // Of each transport a call that the caller will hang up, and one that the called will.
    let pairs: Vec<_> = thread::scope(|scope| {
        let begun: Vec<_> = TRANSPORTS
            .iter()
            .flat_map(|transport| ["first", "second"].map(|who| (transport, who)))
            .map(|(transport, who)| scope.spawn(move || begin(transport, who)))
            .collect();
        begun.into_iter().map(|thread| thread.join().expect("a call")).collect()
    });

    kamailio.kill();
    for phone in pairs.iter().flat_map(Pair::phones) {
        phone.wait("registration_failed");
    }
    kamailio.restart();
    let back = Instant::now();
    for pair in &pairs {
        for phone in pair.phones() {
            phone.wait("registered");
            assert!(back.elapsed() < BACK_OFF, "{}: after {:?}", pair.name, back.elapsed());
        }
    }
    for (number, pair) in pairs.into_iter().enumerate() {
        let Pair { name, caller, called } = pair;
        let caller_hangs_up = number % 2 == 0;
        let (first, second) = if caller_hangs_up { (&caller, &called) } else { (&called, &caller) };
        first.signal("-TERM");
        assert_eq!(second.wait("ended")["by"], "remote", "{name}");
        if caller_hangs_up {
            called.signal("-TERM");
        }
        for phone in [caller, called] {
            let (status, said, events) = phone.end();
            assert_eq!(status, 0, "{name}: {said} {events:?}");
        }
        check_heard(&at.join(format!("{name}-caller.wav")), 600, 3_000)?;
        check_heard(&at.join(format!("{name}-called.wav")), 1_000, 3_000)?;
    }
    Ok(())
}
