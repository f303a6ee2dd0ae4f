// The simulation in Node: it is loaded when this is imported.
import { readFileSync } from "node:fs";
import { create, load as read } from "../node/files.js";
import { setFiles } from "./files.js";
import { simulation } from "./module.js";

export * from "./index.js";

setFiles({ load: read, create });
simulation.loadSync(readFileSync(new URL("../sim.wasm", import.meta.url)));

/** Does nothing: it is loaded. A program that also runs in a page calls it there. */
export async function load(): Promise<void> {}
