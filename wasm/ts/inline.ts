// The package with its module as text in it, a third longer: for pages that are one file.
import { loadModule } from "./module.js";
import text from "./offhook.wasm.js";

export * from "./index.js";

/** Loads the telephone; everything else throws `not_loaded` before that. */
export function load(): Promise<void> {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return loadModule(bytes);
}
