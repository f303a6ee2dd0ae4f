// Plays every scenario in WebAssembly and prints the hash of its trace, as
// wasm/examples/traces.rs does natively: `node traces.js SCENARIOS.js`.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [path] = process.argv.slice(2);
const { initSync, names, run } = await import(pathToFileURL(path));
initSync({ module: readFileSync(path.replace(/\.js$/, "_bg.wasm")) });

const SEED = 1n;
for (const name of names()) {
  console.log(`${name} ${SEED} ${BigInt.asUintN(64, run(name, SEED)).toString(16).padStart(16, "0")}`);
}
