// The package in Node: the telephone is loaded when this is imported.
import { readFileSync } from "node:fs";
import { loadModuleSync } from "./module.js";

export * from "./index.js";
export { NodeHost } from "./node/host.js";

loadModuleSync(readFileSync(new URL("./offhook.wasm", import.meta.url)));

/** Does nothing: it is loaded. A program that also runs in a page calls it there. */
export async function load(): Promise<void> {}
