//! Staying reachable over real sockets: a network that changes, phones that start and stop.

#![cfg(all(feature = "cli", unix))]

mod common;
#[path = "common/process.rs"]
mod process;

use std::time::Duration;

use common::*;
use offhook::{Event, Events, Phone, PhoneParameters, PhoneStatus, Transport};
use process::Offhook;

/// Within what time a phone is registered again.
const BACK_OFF: Duration = Duration::from_secs(9);

/// `offhook exchange`, and where it listens.
struct Server {
    address: String,
    _running: Offhook,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let arguments = "exchange --listen 127.0.0.1:0/tcp --user alice:secret --user bob:secret";
        let running = Offhook::start(directory.path(), arguments);
        Self { address: running.address(), _running: running, _directory: directory }
    }
}

/// A phone that registers there by TCP.
async fn by_tcp(server: &Server, user: &str) -> Phone {
    let parameters = PhoneParameters::new(&server.address, user);
    start(parameters.password("secret").transport(Transport::Tcp).bind(here())).await
}

/// Waits until a phone says that it has that status.
async fn reaches(events: &mut Events<Event>, wanted: PhoneStatus) {
    within(BACK_OFF, async {
        while events.next().await.expect("the phone runs") != Event::Status(wanted) {}
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_phone_tells_of_the_network_for_all_beside_it() {
    let server = Server::start();
    let alice = by_tcp(&server, "alice").await;
    let parameters = PhoneParameters::new(&server.address, "bob").password("secret");
    let bob = alice.beside(parameters.transport(Transport::Tcp).bind(here()));
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
    let bob = alice.beside(PhoneParameters::without_server("bob").bind(port));
    for _ in 0..50 {
        let ((), started) = soon(async { tokio::join!(alice.stop(), bob.start()) }).await;
        started.expect("bob starts at the same port");
        let ((), started) = soon(async { tokio::join!(bob.stop(), alice.start()) }).await;
        started.expect("alice starts at the same port");
    }
    soon(alice.stop()).await;
}
