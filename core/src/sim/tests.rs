use super::*;
use crate::time::Duration;

#[test]
fn two_peers_talk() {
    let mut sim = Simulation::new(1);
    let alice = sim.add([10, 0, 0, 1], ScriptedPeer::new());
    let bob = sim.add([10, 0, 0, 2], ScriptedPeer::new());
    sim[alice].send(bob.address(), "hello");
    sim.run_until(|sim| !sim[bob].received().is_empty(), Duration::from_secs(1)).unwrap();
    assert_eq!(sim[bob].received()[0].text(), "hello");
    assert_eq!(sim[bob].received()[0].from, alice.address());
}
