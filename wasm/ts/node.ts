// The package in Node: the telephone is loaded when this is imported.
import { readFileSync } from "node:fs";
import { setDefaultHost } from "./hosts.js";
import { loadModuleSync } from "./module.js";
import { NodeHost } from "./node/host.js";

export * from "./index.js";
export { NodeHost };

setDefaultHost(() => new NodeHost());
loadModuleSync(readFileSync(new URL("./offhook.wasm", import.meta.url)));

/** Does nothing: it is loaded. A program that also runs in a page calls it there. */
export async function load(): Promise<void> {}
