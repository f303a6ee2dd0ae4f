//! A call in memory: INVITE, 180, 200, ACK, BYE, 200 between two phones on the simulated network
//! without delay, while the transactions of the 32 seconds before it linger.

use divan::Bencher;
use divan::counter::ItemsCount;
use offhook_core::call::CallOptions;
use offhook_core::config::PhoneParameters;
use offhook_core::event::{CallId, CallState, Event};
use offhook_core::phone::Phone;
use offhook_core::sim::{NodeId, Simulation};
use offhook_core::time::Duration;

fn main() {
    divan::Divan::from_args().sample_size(100).sample_count(100).run_benches();
}

/// Calls a second of virtual time.
const RATES: [u64; 2] = [10, 1_000];

#[divan::bench(args = RATES)]
fn set_up_and_end(bencher: Bencher<'_, '_>, rate: u64) {
    let mut pair = Pair::new();
    let pause = Duration::from_micros(1_000_000 / rate);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let call = pair.connect();
        pair.end(call);
        pair.sim.run_for(pause);
    });
}

/// Two phones; the second answers every call.
struct Pair {
    sim: Simulation,
    alice: NodeId<Phone>,
    target: String,
}

impl Pair {
    fn new() -> Self {
        let mut sim = Simulation::new(1);
        let [alice, bob] = ["alice", "bob"].map(|user| {
            let mut phone = Phone::new(PhoneParameters::without_server(user)).expect("parameters");
            phone.start().expect("a new phone starts");
            let last = if user == "alice" { 1 } else { 2 };
            sim.add([10, 0, 0, last], phone)
        });
        sim.set_application(bob, |phone, _| {
            while let Some(event) = phone.next_event() {
                if let Event::Incoming { call, .. } = event {
                    phone.answer(call).expect("a ringing call can be answered");
                }
            }
        });
        sim.set_application(alice, |phone, _| while phone.next_event().is_some() {});
        sim.run_for(Duration::from_millis(1));
        let target = format!("sip:bob@{}", bob.address());
        Self { sim, alice, target }
    }

    fn connect(&mut self) -> CallId {
        let phone = self.sim.node_mut(self.alice);
        let call = phone.call(&self.target, CallOptions::default()).expect("a call");
        self.until(|phone| phone.state(call) == Some(CallState::Answered));
        call
    }

    fn end(&mut self, call: CallId) {
        self.sim.node_mut(self.alice).hangup(call).expect("an answered call can be hung up");
        self.until(|phone| phone.state(call).is_none());
    }

    fn until(&mut self, reached: impl Fn(&Phone) -> bool) {
        let alice = self.alice;
        self.sim
            .run_until(|sim| reached(&sim[alice]), Duration::from_secs(1))
            .expect("the network loses nothing");
    }
}
