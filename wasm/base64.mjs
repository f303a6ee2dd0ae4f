// Writes dist/offhook.wasm.js: the module of the telephone as text, for `offhook/inline`.
import { readFileSync, writeFileSync } from "node:fs";

const dist = new URL("dist/", import.meta.url);
const text = readFileSync(new URL("offhook.wasm", dist), "base64");
writeFileSync(new URL("offhook.wasm.js", dist), `export default "${text}";\n`);
writeFileSync(
  new URL("offhook.wasm.d.ts", dist),
  "/** The module, in Base64. */\ndeclare const text: string;\nexport default text;\n",
);
