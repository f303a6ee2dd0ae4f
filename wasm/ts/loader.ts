// Loading a WebAssembly module: each is one in a program, loaded once.
import { OffhookError } from "./errors.js";

/** Where a module is: its address, a response that brings it, its bytes, or the module itself, compiled. */
export type ModuleSource = string | URL | Response | BufferSource | WebAssembly.Module;

/** What wasm-bindgen makes for a module. */
interface Initializers {
  init(options: { module_or_path: ModuleSource }): Promise<{ memory: WebAssembly.Memory }>;
  initSync(options: { module: BufferSource | WebAssembly.Module }): { memory: WebAssembly.Memory };
}

/** A module that is to be loaded. */
export class Loader {
  #memory: WebAssembly.Memory | undefined;
  #loading: Promise<void> | undefined;

  /** `what` the module is of, for sentences. */
  constructor(
    private readonly what: string,
    private readonly glue: Initializers,
  ) {}

  /** Loads it, unless it is there already or on its way. Rejects with `load`. */
  load(source: ModuleSource | Promise<ModuleSource>): Promise<void> {
    this.#loading ??= this.#instantiate(source).catch((cause: unknown) => {
      // It may be tried again.
      this.#loading = undefined;
      const problem = cause instanceof Error ? cause.message : String(cause);
      throw new OffhookError("load", `the module of ${this.what} cannot be loaded: ${problem}`, { cause });
    });
    return this.#loading;
  }

  /** Loads it at once, from its bytes or compiled. */
  loadSync(source: BufferSource | WebAssembly.Module): void {
    this.#memory ??= this.glue.initSync({ module: source }).memory;
    this.#loading ??= Promise.resolve();
  }

  /** Its memory. Throws `not_loaded` before it is loaded: whatever uses the module asks first. */
  get memory(): WebAssembly.Memory {
    if (this.#memory) return this.#memory;
    throw new OffhookError("not_loaded", `${this.what} is not loaded yet: \`await load()\` first`);
  }

  async #instantiate(source: ModuleSource | Promise<ModuleSource>): Promise<void> {
    const found = await source;
    if (found instanceof Response && !found.ok) throw new Error(`${found.url} is ${found.status}`);
    this.#memory ??= (await this.glue.init({ module_or_path: found })).memory;
  }
}
