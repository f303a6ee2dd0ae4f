// The glue has `Symbol.dispose`, which a project's own settings may lack.
/// <reference lib="esnext.disposable" preserve="true" />

// The WebAssembly module of the telephone: one in a program, loaded once.
import { OffhookError } from "./errors.js";
import init, { initSync } from "./offhook_wasm.js";

/** Where the module is: its address, a response that brings it, its bytes, or the module itself, compiled. */
export type ModuleSource = string | URL | Response | BufferSource | WebAssembly.Module;

let memory: WebAssembly.Memory | undefined;
let loading: Promise<void> | undefined;

/** Loads the module, unless it is there already or on its way. Rejects with `load`. */
export function loadModule(source: ModuleSource | Promise<ModuleSource>): Promise<void> {
  loading ??= instantiate(source).catch((cause: unknown) => {
    // It may be tried again.
    loading = undefined;
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new OffhookError("load", `the module of the telephone cannot be loaded: ${problem}`, { cause });
  });
  return loading;
}

async function instantiate(source: ModuleSource | Promise<ModuleSource>): Promise<void> {
  const found = await source;
  if (found instanceof Response && !found.ok) throw new Error(`${found.url} is ${found.status}`);
  memory ??= (await init({ module_or_path: found })).memory;
}

/** Loads the module at once, from its bytes or compiled. */
export function loadModuleSync(source: BufferSource | WebAssembly.Module): void {
  memory ??= initSync({ module: source }).memory;
  loading ??= Promise.resolve();
}

/** The memory of the module. Throws `not_loaded` before it is loaded: whatever uses the module asks first. */
export function moduleMemory(): WebAssembly.Memory {
  if (memory) return memory;
  throw new OffhookError("not_loaded", "the telephone is not loaded yet: `await load()` first");
}
