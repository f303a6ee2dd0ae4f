//! The world of `wasm/test/simulation.test.js`, in Rust: what is sent on its network is the same to the last
//! byte, and so is the hash of it.

use core::net::SocketAddr;

use offhook_core::call::CallOptions;
use offhook_core::config::PhoneParameters;
use offhook_core::event::CallState;
use offhook_core::exchange::{Exchange, ExchangeParameters};
use offhook_core::host::Transport;
use offhook_core::sim::{Link, Nat, Simulation};
use offhook_core::softphone::Softphone;
use offhook_core::switchboard::Switchboard;
use offhook_core::time::Duration;

const SEED: u64 = 7;
const RATE: u32 = 8_000;

#[test]
fn the_world_of_the_javascript_test_has_this_hash() {
    let mut sim = Simulation::new(SEED);
    sim.set_default_link(Link {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(5),
        loss_permille: 20,
        duplicate_permille: 10,
        reorder_permille: 10,
        ..Link::default()
    });
    let server: SocketAddr = "10.0.0.9:5060".parse().unwrap();
    let parameters = ExchangeParameters::new(server).user("alice", "a").user("bob", "b");
    sim.add_at(server, Exchange::new(parameters));
    let here = sim.add_at("10.0.0.1:5060".parse::<SocketAddr>().unwrap(), Switchboard::new());
    let there = sim.add_at("10.0.0.2:5060".parse::<SocketAddr>().unwrap(), Switchboard::new());
    sim.set_nat(&[here.ip()], Nat::port_restricted([203, 0, 113, 1]));

    let mut phone = |node, parameters: PhoneParameters| {
        let line = sim.node_mut::<Switchboard<Softphone>>(node);
        let line = line.add(Softphone::new(parameters).unwrap()).unwrap();
        sim[node].line_mut(line).unwrap().phone_mut().start().unwrap();
        line
    };
    let alice = phone(here, PhoneParameters::new("10.0.0.9", "alice").password("a"));
    phone(there, PhoneParameters::without_server("bella"));
    let bob = PhoneParameters::new("10.0.0.9", "bob").password("b").transport(Transport::Tcp);
    let bob = phone(there, bob);
    sim.run_for(Duration::from_secs(2));

    let line = sim[here].line_mut(alice).unwrap();
    let calling = line.phone_mut().call("bob", CallOptions::default()).unwrap();
    sim.run_for(Duration::from_secs(1));
    let line = sim[there].line_mut(bob).unwrap();
    let called = line.phone().calls().next().expect("it rings");
    line.phone_mut().answer(called).unwrap();
    sim.run_for(Duration::from_secs(1));
    let line = sim[here].line_mut(alice).unwrap();
    assert_eq!(line.phone().state(calling), Some(CallState::Answered));
    let media = line.media_mut(calling).unwrap();
    let saw: Vec<i16> = (0..4_000).map(|i| (i % 80) * 100 - 4_000).collect();
    assert_eq!(media.write_audio(RATE, &saw), saw.len());
    media.send_dtmf("42#").unwrap();
    sim.run_for(Duration::from_secs(3));
    assert_eq!(sim[there].line_mut(bob).unwrap().media_mut(called).unwrap().available_dtmf(), 3);
    sim[there].line_mut(bob).unwrap().phone_mut().hangup(called).unwrap();
    sim.run_for(Duration::from_secs(2));
    assert_eq!(sim[here].line(alice).unwrap().phone().calls().count(), 0);

    let hash = format!("{:016x}", sim.trace_hash());
    assert_eq!(hash, include_str!("../test/world.hash").trim(), "wasm/test/world.hash");
}
