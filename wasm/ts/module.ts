// The glue has `Symbol.dispose`, which a project's own settings may lack.
/// <reference lib="esnext.disposable" preserve="true" />

// The module of the telephone.
import { Loader, type ModuleSource } from "./loader.js";
import init, { initSync } from "./offhook_wasm.js";

export type { ModuleSource };

const telephone = new Loader("the telephone", { init, initSync });

/** Loads the module, unless it is there already or on its way. Rejects with `load`. */
export function loadModule(source: ModuleSource | Promise<ModuleSource>): Promise<void> {
  return telephone.load(source);
}

/** Loads the module at once, from its bytes or compiled. */
export function loadModuleSync(source: BufferSource | WebAssembly.Module): void {
  telephone.loadSync(source);
}

/** The memory of the module. Throws `not_loaded` before it is loaded: whatever uses the module asks first. */
export function moduleMemory(): WebAssembly.Memory {
  return telephone.memory;
}
