//! A NAT between a phone and the rest of the world: three network namespaces in a row, the one in the
//! middle rewriting addresses (nftables).

use std::fs::File;
use std::process::Command;
use std::thread;

use offhook_tests::peers::skip;
use offhook_tests::stall::unless_stalled;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::kamailio::{Algorithm, Kamailio, TRANSPORTS};
use super::process::Offhook;
use super::program::installed;
use super::sound::check_heard;
use super::transports::{stop, with_tones};

/// The phone behind the NAT.
const INSIDE: &str = "10.77.0.2";
/// Kamailio and the other phone.
const OUTSIDE: &str = "192.0.2.2";

/// On which side of the NAT somebody is.
#[derive(Clone, Copy, Debug)]
enum End {
    In,
    Out,
}

use End::{In, Out};

impl End {
    fn address(self) -> &'static str {
        match self {
            In => INSIDE,
            Out => OUTSIDE,
        }
    }

    /// The namespace.
    fn name(self) -> &'static str {
        match self {
            In => "in",
            Out => "out",
        }
    }
}

/// Two namespaces with a NAT between them.
struct Nat {
    name: String,
}

impl Nat {
    /// Makes them; says on standard error why not, where that is not allowed.
    fn new(rule: &str) -> Option<Self> {
        if !installed(&["ip", "nft"]) {
            return None;
        }
        let nat = Self { name: format!("offhook{}{}", std::process::id(), rule.len()) };
        let name = &nat.name;
        let namespaces = format!("netns add {name}in\nnetns add {name}nat\nnetns add {name}out\n");
        if let Err(reason) = batch("ip", &["-batch", "-"], &namespaces) {
            skip(&format!("network namespaces cannot be made here: {}", reason.trim()));
            return None;
        }
        let links = format!(
            "link add in netns {name}in type veth peer name in netns {name}nat\n\
             link add out netns {name}out type veth peer name out netns {name}nat\n"
        );
        batch("ip", &["-batch", "-"], &links).expect("links between namespaces");
        for (end, lines) in [
            (
                "in",
                format!(
                    "addr add {INSIDE}/24 dev in\nlink set in up\nlink set lo up\n\
                            route add default via 10.77.0.1\n"
                ),
            ),
            ("out", format!("addr add {OUTSIDE}/24 dev out\nlink set out up\nlink set lo up\n")),
            (
                "nat",
                "addr add 10.77.0.1/24 dev in\naddr add 192.0.2.1/24 dev out\n\
                     link set in up\nlink set out up\n"
                    .to_owned(),
            ),
        ] {
            let namespace = format!("{name}{end}");
            batch("ip", &["-n", &namespace, "-batch", "-"], &lines).expect("addresses");
        }
        let rules = format!(
            "table ip nat {{\nchain out {{\ntype nat hook postrouting priority 100\n\
             oifname \"out\" {rule}\n}}\n}}\n"
        );
        let in_middle = nat.within("nat", || {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").map_err(|e| e.to_string())?;
            batch("nft", &["-f", "-"], &rules)
        });
        if let Err(reason) = in_middle {
            skip(&format!("addresses cannot be rewritten here: {}", reason.trim()));
            return None;
        }
        Some(nat)
    }

    /// Does something in the namespace `in` or `out`; the processes that it starts live there.
    fn within<T: Send>(&self, end: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}{end}", self.name)).expect("a namespace");
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                use std::os::fd::AsFd;
                let network = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(namespace.as_fd(), network).expect("to be let in");
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        for end in ["in", "nat", "out"] {
            let _ =
                Command::new("ip").args(["netns", "del", &format!("{}{end}", self.name)]).output();
        }
    }
}

/// Gives a program its lines; what it complains of.
fn batch(program: &str, arguments: &[&str], lines: &str) -> Result<(), String> {
    use std::io::Write;
    use std::process::Stdio;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(lines.as_bytes()).map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Ports stay what they are as long as they are free: what most routers do.
#[test]
fn calls_through_a_nat() {
    calls_through("masquerade");
}

/// Each destination sees another port: nobody can tell beforehand where sound will come from.
#[test]
fn calls_through_a_nat_that_changes_ports() {
    calls_through("masquerade fully-random");
}

fn calls_through(rule: &str) {
    if !Kamailio::is_installed() {
        return;
    }
    let Some(nat) = Nat::new(rule) else { return };
    let kamailio = nat.within("out", || Kamailio::start_at(Algorithm::Md5, &[OUTSIDE]));
    for transport in TRANSPORTS {
        let (nat, kamailio) = (&nat, &kamailio);
        // One calls from inside, and another from outside.
        thread::scope(|scope| {
            for (from, to) in [(In, Out), (Out, In)] {
                scope.spawn(move || {
                    unless_stalled(|| call_through(nat, kamailio, transport, from, to));
                });
            }
        });
    }
}

/// A call from one end of the NAT to the other, with sound both ways.
fn call_through(
    nat: &Nat,
    kamailio: &Kamailio,
    transport: &str,
    from: End,
    to: End,
) -> Result<(), String> {
    let account = |role: &str, end: End| {
        let user = format!("{role}-{end:?}");
        let account = kamailio.account_at(OUTSIDE, transport, &user);
        account.replace(&format!("--bind {OUTSIDE}"), &format!("--bind {}", end.address()))
    };
    let directory = with_tones();
    let at = directory.path();
    let (caller, called) = (account("alice", from), account("bob", to));
    let answer = format!("answer --play low.wav --record-received bob.wav --duration 60 {called}");
    let bob = nat.within(to.name(), || Offhook::start(at, &answer));
    bob.wait("registered");
    let call = format!("call bob-{to:?} --play high.wav --record-received alice.wav {caller}");
    let call = format!("{call} --duration 2");
    let (status, sentence, events) = nat.within(from.name(), || Offhook::run(at, &call));
    assert_eq!((status, sentence.as_str()), (0, ""), "{transport} {from:?}: {events:?}");
    assert_eq!(bob.wait("ended")["by"], "remote", "{transport} {from:?}");
    stop(bob, true);
    // The first packets find the way.
    check_heard(&at.join("alice.wav"), 600, 1_200)?;
    check_heard(&at.join("bob.wav"), 1_000, 1_200)
}
