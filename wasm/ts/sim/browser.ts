// The simulation in a page.
import type { ModuleSource } from "../module.js";
import { simulation } from "./module.js";

export * from "./index.js";

/**
 * Loads the simulation; everything else throws `not_loaded` before that. `source` is where its module is, when it is
 * not where the bundler has put it.
 */
export function load(source?: ModuleSource | Promise<ModuleSource>): Promise<void> {
  return simulation.load(source ?? new URL("../sim.wasm", import.meta.url));
}
