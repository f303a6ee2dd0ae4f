// Plays every scenario in WebAssembly and prints the hash of its trace, as
// wasm/examples/traces.rs does natively: `node traces.js SCENARIOS.js`.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const path = resolve(process.argv[2]);
const { initSync, names, run } = await import(pathToFileURL(path));
initSync({ module: readFileSync(path.replace(/\.js$/, "_bg.wasm")) });

const SEED = 1n;
const hex = (hash) => BigInt.asUintN(64, hash).toString(16).padStart(16, "0");
for (const name of names()) console.log(`${name} ${SEED} ${hex(run(name, SEED))}`);
