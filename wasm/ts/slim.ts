// The package without its module, for whoever brings it: workers, strict policies of content, runtimes at the
// edge. `offhook/offhook.wasm` is the module.
import { loadModule, loadModuleSync, type ModuleSource } from "./module.js";

export * from "./index.js";

/** Loads the telephone; everything else throws `not_loaded` before that. */
export function load(source: ModuleSource | Promise<ModuleSource>): Promise<void> {
  return loadModule(source);
}

/** Loads it at once. A page's main thread may refuse to compile that much: give it a module compiled before. */
export function loadSync(source: BufferSource | WebAssembly.Module): void {
  loadModuleSync(source);
}
