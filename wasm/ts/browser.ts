// The package in a page and wherever else `fetch` reaches the module: what is loaded is a file beside this one.
import { loadModule, type ModuleSource } from "./module.js";

export * from "./index.js";

/**
 * Loads the telephone; everything else throws `not_loaded` before that. `source` is where the module is,
 * when it is not where the bundler has put it.
 */
export function load(source?: ModuleSource | Promise<ModuleSource>): Promise<void> {
  return loadModule(source ?? new URL("./offhook.wasm", import.meta.url));
}
