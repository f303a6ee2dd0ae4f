//! The simulation as JavaScript sees it: machines, exchanges and scripted peers on a network in virtual
//! time, where whatever happens by chance follows from a seed. See [`offhook_core::sim`].
//!
//! Endpoints are named by where they are: `10.0.0.1`, which means port 5060, or `10.0.0.1:5070`.

mod faults;
mod names;
mod network;
mod parameters;
mod peer;
mod record;
mod time;

use core::cell::RefCell;
use core::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use offhook_core::exchange::Exchange;
use offhook_core::sim::{self, NodeId, ScriptedPeer};
use offhook_core::switchboard::Switchboard;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::{tell_panics, thrown, unusable};
use crate::machine::Machine;
pub use peer::Peer;

/// The port of an endpoint that says none.
const SIP_PORT: u16 = 5060;
/// How many of the packets sent last are kept at first.
const RECORDED: usize = 100_000;

/// A network of telephones, exchanges and scripted peers in virtual time.
///
/// Times are microseconds; those in objects say what they are. Nothing happens but in `step` and
/// `advance`: in a `sipHandler`, which is called there, everything is refused (`busy`).
#[wasm_bindgen]
pub struct Simulation {
    sim: Rc<RefCell<sim::Simulation>>,
    nodes: RefCell<Vec<NodeId<()>>>,
    exchanges: RefCell<Vec<NodeId<Exchange>>>,
    /// The translators: their addresses, and who is behind each.
    nats: RefCell<Vec<(IpAddr, Vec<IpAddr>)>>,
    /// The names of addresses in the ladder.
    labels: RefCell<Vec<(SocketAddr, String)>>,
}

#[wasm_bindgen]
impl Simulation {
    /// A network without endpoints.
    #[wasm_bindgen(constructor)]
    pub fn new(seed: u64) -> Simulation {
        tell_panics();
        let mut sim = sim::Simulation::new(seed);
        sim.record_wire(RECORDED);
        Self {
            sim: Rc::new(RefCell::new(sim)),
            nodes: RefCell::default(),
            exchanges: RefCell::default(),
            nats: RefCell::default(),
            labels: RefCell::default(),
        }
    }

    /// A machine without accounts on a host of its own.
    pub fn machine(&self, at: &str) -> Result<Machine, JsValue> {
        let node = self.add(at, |sim, at| sim.add_at(at, Switchboard::new()))?;
        Ok(Machine::of_node(Rc::clone(&self.sim), node))
    }

    /// A registrar and proxy.
    pub fn exchange(
        &self,
        at: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "ExchangeParameters")] parameters: JsValue,
    ) -> Result<(), JsValue> {
        let parameters = parameters::exchange(address(at)?, &parameters)?;
        let node = self.add(at, |sim, at| sim.add_at(at, Exchange::new(parameters)))?;
        self.exchanges.borrow_mut().push(node);
        Ok(())
    }

    /// The URIs at which a user of an exchange can be reached now; `undefined` when it has no such user.
    pub fn contacts(&self, at: &str, user: &str) -> Result<Option<Vec<String>>, JsValue> {
        let address = address(at)?;
        let node = self.exchanges.borrow().iter().copied().find(|node| node.address() == address);
        let node = node.ok_or_else(|| nobody(at))?;
        self.with(|sim| sim.node(node).contacts(user))
    }

    /// A peer that sends what it is given, and keeps what comes.
    pub fn peer(&self, at: &str) -> Result<Peer, JsValue> {
        let node = self.add(at, |sim, at| sim.add_at(at, ScriptedPeer::new()))?;
        Ok(Peer::new(Rc::clone(&self.sim), node))
    }
}

impl Simulation {
    /// Acts on the simulation, unless it is at work.
    fn with<T>(&self, act: impl FnOnce(&mut sim::Simulation) -> T) -> Result<T, JsValue> {
        let mut sim = self.sim.try_borrow_mut().map_err(|_| busy())?;
        Ok(act(&mut sim))
    }

    /// Adds an endpoint where nothing is yet.
    fn add<E>(
        &self,
        at: &str,
        add: impl FnOnce(&mut sim::Simulation, SocketAddr) -> NodeId<E>,
    ) -> Result<NodeId<E>, JsValue> {
        let address = address(at)?;
        let node = self.with(|sim| sim.is_free(address).then(|| add(sim, address)))?;
        let node = node.ok_or_else(|| taken(at))?;
        self.nodes.borrow_mut().push(node.untyped());
        Ok(node)
    }

    /// The endpoint that is there.
    fn node(&self, at: &str) -> Result<NodeId<()>, JsValue> {
        let address = address(at)?;
        let nodes = self.nodes.borrow();
        // The latest: one that was moved away leaves its place to another.
        let node = nodes.iter().rfind(|node| node.address() == address);
        node.copied().ok_or_else(|| nobody(at))
    }
}

/// What is refused while the simulation is at work.
pub(crate) fn busy() -> JsValue {
    thrown(
        "busy",
        "the simulation is at work: a sipHandler decides about its message and nothing else",
    )
}

fn taken(at: &str) -> JsValue {
    unusable("address", at.to_owned(), "something is there already")
}

fn nobody(at: &str) -> JsValue {
    unusable("address", at.to_owned(), "nobody is there")
}

/// `IP`, or `IP:PORT`.
fn address(text: &str) -> Result<SocketAddr, JsValue> {
    let parsed = text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, SIP_PORT)));
    let problem = "it is neither IP nor IP:PORT";
    parsed.map_err(|_| unusable("address", text.to_owned(), problem))
}

fn ip(text: &str) -> Result<IpAddr, JsValue> {
    text.parse().map_err(|_| unusable("address", text.to_owned(), "it is no IP address"))
}

fn ips(texts: &[String]) -> Result<Vec<IpAddr>, JsValue> {
    texts.iter().map(|text| ip(text)).collect()
}
