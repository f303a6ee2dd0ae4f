// What the entries of the simulation export.
export { Exchange, type ExchangeOptions } from "./exchange.js";
export type { LinkOptions, NameRecords, NameServerOptions, NatOptions } from "./network.js";
export { Arrival, ScriptedPeer, type Reaction } from "./peer.js";
export { Simulation, type SimulationOptions, type UntilOptions } from "./simulation.js";
