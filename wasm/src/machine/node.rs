//! A machine that is a node of a simulation.

use core::cell::RefCell;
use std::rc::Rc;

use offhook_core::host::Host;
use offhook_core::sim::{NodeId, Simulation};
use offhook_core::softphone::Softphone;
use offhook_core::switchboard::Switchboard;
use wasm_bindgen::JsValue;

use super::Machine;
use crate::sim::busy;

/// The node's switchboard, and the simulation that it is part of.
pub(super) struct Ground {
    sim: Rc<RefCell<Simulation>>,
    node: NodeId<Switchboard<Softphone>>,
}

impl Ground {
    /// Lets the switchboard do something. While the simulation is at work, as when a `sipHandler` is
    /// called, it cannot.
    pub(super) fn board<T>(
        &mut self,
        act: impl FnOnce(&mut Switchboard<Softphone>) -> T,
    ) -> Result<T, JsValue> {
        let mut sim = self.sim.try_borrow_mut().map_err(|_| busy())?;
        Ok(act(sim.node_mut(self.node)))
    }

    /// Lets it do something that needs its host.
    pub(super) fn board_and_host<T>(
        &mut self,
        act: impl FnOnce(&mut Switchboard<Softphone>, &mut dyn Host) -> T,
    ) -> Result<T, JsValue> {
        let mut sim = self.sim.try_borrow_mut().map_err(|_| busy())?;
        Ok(sim.with(self.node, act))
    }
}

impl Machine {
    /// The machine of a node.
    pub(crate) fn of_node(
        sim: Rc<RefCell<Simulation>>,
        node: NodeId<Switchboard<Softphone>>,
    ) -> Self {
        Self::on(Ground { sim, node })
    }
}
