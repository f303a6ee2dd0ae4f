// `cargo xtask js-bench`: what the package weighs and costs, as a table for README.md. The argument is the glue of
// `examples/costs.rs`.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";
import { callsPerSecond, packetsPerCpuSecond } from "./calls.js";

const [costs] = process.argv.slice(2);
const dist = fileURLToPath(new URL("../dist/", import.meta.url));
/** Where JsSIP and SIP.js are found. */
const here = fileURLToPath(new URL(".", import.meta.url));

const brotli = (bytes) => brotliCompressSync(bytes).length;
const kilo = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
const print = (...cells) => console.log(`| ${cells.join(" | ")} |`);

/** The middle of some runs. */
function median(count, measure) {
  const values = Array.from({ length: count }, measure).sort((a, b) => a - b);
  return values[Math.floor(count / 2)];
}

/** The seconds that `act` takes, once: the best of some rounds, after one to warm up. */
function cost(act, count) {
  const round = () => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i += 1) act();
    return Number(process.hrtime.bigint() - start) / 1e9 / count;
  };
  round();
  return Math.min(...Array.from({ length: 5 }, round));
}

/** What a page gets of a program: bundled, minified and packed. */
async function bundled(contents, resolveDir) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false,
    logLevel: "error",
  });
  return brotli(outputFiles[0].contents);
}

async function sizes() {
  for (const [name, file] of [
    ["the telephone with its media, `offhook.wasm`", "offhook.wasm"],
    ["the media machine alone, `media.wasm`", "media.wasm"],
  ]) {
    const bytes = readFileSync(join(dist, file));
    print(name, `${kilo(brotli(bytes))} brotli, ${kilo(bytes.length)} as it is`);
  }
  const all = (name) => `export * from "${name}";`;
  print("the JavaScript of a page, minified", `${kilo(await bundled(all("./browser.js"), dist))} brotli`);
  const jssip = kilo(await bundled('import JsSIP from "jssip"; console.log(JsSIP);', here));
  const sipjs = kilo(await bundled('import * as SIP from "sip.js"; console.log(SIP);', here));
  print("beside it, minified: signalling alone", `JsSIP ${jssip}, SIP.js ${sipjs}`);
}

/** The milliseconds that a process takes which does no more than that. */
function processTime(program) {
  const start = process.hrtime.bigint();
  execFileSync(process.execPath, ["--input-type=module", "-e", program], { cwd: here });
  return Number(process.hrtime.bigint() - start) / 1e6;
}

function startUp() {
  const entry = JSON.stringify(import.meta.resolve("offhook"));
  const bare = median(15, () => processTime(""));
  const loaded = median(15, () => processTime(`await import(${entry});`));
  const jssip = median(15, () => processTime('import "jssip";'));
  const sipjs = median(15, () => processTime('import "sip.js";'));
  const more = (time) => `${Math.round(time - bare)} ms`;
  print(
    "`import` in Node, beyond a process that does nothing",
    `${more(loaded)} (JsSIP ${more(jssip)}, SIP.js ${more(sipjs)})`,
  );
}

const corpus = (name) => readFileSync(new URL(`../../tests/corpus/${name}.sip`, import.meta.url));

async function crossingsAndParsing() {
  const glue = await import(pathToFileURL(costs));
  glue.initSync({ module: readFileSync(costs.replace(/\.js$/, "_bg.wasm")) });
  const packet = new Uint8Array(172);
  const nano = (seconds) => `${(seconds * 1e9).toFixed(0)} ns`;
  print("a crossing into WebAssembly and back", nano(cost(() => glue.cross(1), 1_000_000)));
  print("the same with a packet of 172 bytes", nano(cost(() => glue.take(packet), 1_000_000)));

  const require = createRequire(import.meta.url);
  const { parseMessage } = require("jssip/lib/Parser.js");
  const { Parser } = await import("sip.js/lib/core/messages/parser.js");
  const silent = { error() {}, warn() {}, log() {}, debug() {} };
  for (const name of ["invite", "ok"]) {
    const bytes = corpus(name);
    const text = bytes.toString();
    if (!parseMessage(text, {}) || !Parser.parseMessage(text, silent)) throw new Error(`${name} is refused`);
    const ours = cost(() => glue.parse(bytes), 50_000);
    const [jssip, sipjs] = [
      cost(() => parseMessage(text, {}), 3_000),
      cost(() => Parser.parseMessage(text, silent), 3_000),
    ];
    const times = (other) => `${(other * 1e6).toFixed(0)} µs, ${Math.round(other / ours)} times`;
    const what = { invite: "an INVITE", ok: "a 200" }[name];
    print(
      `to parse ${what} of ${bytes.length} bytes`,
      `${(ours * 1e6).toFixed(1)} µs (JsSIP ${times(jssip)}; SIP.js ${times(sipjs)})`,
    );
  }
}

const date = new Date().toISOString().slice(0, 10);
console.log(`Measured on ${date} with Node ${process.version} on ${cpus().length} cores (${cpus()[0].model.trim()}):\n`);
print("what", "how much");
print("---", "---");
await sizes();
startUp();
await crossingsAndParsing();
const { rate, cpu } = await callsPerSecond();
print("calls in one process, both ends, over UDP", `${Math.round(rate)} a second, ${(cpu * 1e3).toFixed(1)} ms of CPU each`);
const { calls, packets } = await packetsPerCpuSecond();
print(`packets of ${calls} calls with sound, both ends, sent or received`, `${Math.round(packets)} a CPU-second`);
