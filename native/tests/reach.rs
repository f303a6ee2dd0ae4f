//! Staying reachable over real sockets: a server that is killed and comes back, a network that changes.

#![cfg(all(feature = "cli", unix))]

mod common;
#[path = "common/process.rs"]
mod process;

use std::time::{Duration, Instant};

use common::*;
use offhook::{
    Call, EndedBy, Event, Events, Phone, PhoneEvent, PhoneParameters, PhoneStatus, Transport,
};
use process::Offhook;

/// Within what time a phone is registered again once its server is back: the longest of the waits that
/// so short an absence leads to, and as much as a busy machine takes beside.
const BACK_OFF: Duration = Duration::from_secs(60);

/// `offhook exchange` at a port of its own, with a secret by which calls survive it.
struct Server {
    directory: tempfile::TempDir,
    address: String,
    running: Option<Offhook>,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("secret"), [7; 32]).expect("a file");
        let mut server = Self { directory, address: "127.0.0.1:0".to_owned(), running: None };
        server.come_back();
        server
    }

    /// Listens at the address it had before.
    fn come_back(&mut self) {
        let arguments = format!(
            "exchange --listen {}/tcp --user alice:secret --user bob:secret --secret-file secret",
            self.address
        );
        let running = Offhook::start(self.directory.path(), &arguments);
        self.address = running.address();
        self.running = Some(running);
    }

    fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.signal("-KILL");
        }
    }
}

/// A phone that registers there by TCP.
async fn by_tcp(server: &Server, user: &str) -> Phone {
    let parameters = PhoneParameters::new(&server.address, user);
    start(parameters.password("secret").transport(Transport::Tcp).bind(here())).await
}

/// A call, answered.
async fn call(from: &Phone, to: &Phone, target: &str) -> (Call, Call) {
    let mut incoming = to.incoming();
    let calling = soon(from.call(target)).await.unwrap();
    let called = soon(incoming.next()).await.expect("it rings");
    let (answer, answered) =
        soon(async { tokio::join!(called.answer(), calling.answered()) }).await;
    answer.unwrap();
    answered.unwrap();
    (calling, called)
}

/// Waits until a phone says that it has that status.
async fn reaches(events: &mut Events<Event>, wanted: PhoneStatus) {
    within(BACK_OFF, async {
        while events.next().await.expect("the phone runs")
            != Event::Phone(PhoneEvent::Status(wanted))
        {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back_costs_no_call() {
    let mut server = Server::start();
    let (alice, bob) = (by_tcp(&server, "alice").await, by_tcp(&server, "bob").await);
    let mut told = [alice.events(), bob.events()];
    let (calling, called) = call(&alice, &bob, "bob").await;
    assert_passes(&calling, &called, 440, 300).await;

    server.kill();
    for events in &mut told {
        reaches(events, PhoneStatus::Registering).await;
    }
    // Media goes directly.
    assert_passes(&called, &calling, 440, 300).await;
    server.come_back();
    let back = Instant::now();
    for events in &mut told {
        reaches(events, PhoneStatus::Registered).await;
    }
    println!("registered again {:?} after the server is back", back.elapsed());
    assert_passes(&calling, &called, 440, 300).await;
    soon(calling.hangup()).await.unwrap();
    assert_eq!(soon(called.ended()).await.by, EndedBy::Remote);

    // And the next call is as any other.
    let (calling, called) = call(&bob, &alice, "alice").await;
    assert_passes(&calling, &called, 440, 300).await;
    soon(called.hangup()).await.unwrap();
    assert_eq!(soon(calling.ended()).await.by, EndedBy::Remote);
    soon(alice.stop()).await;
    soon(bob.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_phone_tells_of_the_network_for_all_beside_it() {
    let server = Server::start();
    let alice = by_tcp(&server, "alice").await;
    let parameters = PhoneParameters::new(&server.address, "bob").password("secret");
    let bob = alice.another_account(parameters.transport(Transport::Tcp).bind(here()));
    soon(bob.start()).await.unwrap();
    let mut told = [alice.events(), bob.events()];
    alice.network_changed();
    for events in &mut told {
        reaches(events, PhoneStatus::Registering).await;
        reaches(events, PhoneStatus::Registered).await;
    }
    soon(alice.stop()).await;
    soon(bob.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_starts_where_the_last_one_beside_it_stops() {
    let alice = start(direct("alice")).await;
    let port = alice.bound_address().expect("it runs");
    soon(alice.stop()).await;
    let alice = start(PhoneParameters::without_server("alice").bind(port)).await;
    let bob = alice.another_account(PhoneParameters::without_server("bob").bind(port));
    for _ in 0..50 {
        let ((), started) = soon(async { tokio::join!(alice.stop(), bob.start()) }).await;
        started.expect("bob starts at the same port");
        let ((), started) = soon(async { tokio::join!(bob.stop(), alice.start()) }).await;
        started.expect("alice starts at the same port");
    }
    soon(alice.stop()).await;
}
