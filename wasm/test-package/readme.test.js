// The program of the package's README, in an empty folder: it registers at `offhook exchange`, answers `offhook
// call`, plays its WAV and prints the digit.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { readWav } from "offhook";
import { amplitude, tone, wav } from "../test/sound.js";
import { command, project } from "./project.js";

const { OFFHOOK_BIN: offhook } = process.env;

/** Starts a program that ends with the test; resolves with the first line that fits. */
async function started(t, program, args, pattern) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  t.after(async () => {
    child.kill();
    await once(child, "exit");
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const found = pattern.exec(line);
    if (found) return found[1];
  }
  throw new Error(`${program} has ended without saying ${pattern}`);
}

test("the README's program registers, answers, plays a WAV and prints digits", { timeout: 180_000 }, async (t) => {
  const users = ["--user", "alice:secret", "--user", "bob:b"];
  const listening = /"local":"([^"]+)"/;
  const server = await started(t, offhook, ["exchange", "--listen", "127.0.0.1:0", "--json", ...users], listening);

  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const program = /^```js\n(import \{ Phone \}.*?)^```/ms.exec(readme)[1];
  const folder = await project(t, { "phone.mjs": program.replace("pbx.example.com", server) });
  await writeFile(join(folder, "welcome.wav"), wav(tone(1_000, 8_000, 2, 1)));
  const phone = spawn(process.execPath, ["phone.mjs"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => phone.kill());
  const lines = createInterface({ input: phone.stdout })[Symbol.asyncIterator]();

  const caller = ["call", "alice", "--server", server, "--user", "bob", "--password", "b"];
  const call = [...caller, "--bind", "127.0.0.1:0", "--dtmf", "7", "--record-received", "heard.wav", "--duration", "60"];
  // Until the program has registered, alice is not there (480).
  while (!(await command(folder, offhook, ...call).catch(refused))) continue;
  const { value } = await lines.next();
  assert.match(value, /bob@.* 7$/);
  // It was the program that hung up, when the WAV had been played.
  const { rate, samples } = readWav(await readFile(join(folder, "heard.wav")));
  assert.ok(samples.length > 2 * rate && samples.length < 20 * rate, `${samples.length} samples`);
  const middle = samples.subarray(rate / 2, (rate * 3) / 2);
  assert.ok(amplitude(middle, 1_000, rate) > 4_000, `${amplitude(middle, 1_000, rate)} of 1 kHz`);
});

test("the README's test in virtual time passes under node --test", { timeout: 180_000 }, async (t) => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const program = /^```js\n(import assert.*?)^```/ms.exec(readme)[1];
  const folder = await project(t, { "alice.test.mjs": program });
  assert.match(await command(folder, process.execPath, "--test"), /^# pass 1$/m);
});

/** Nothing for a call that nobody was there to take; any other failure is one. */
function refused(error) {
  if (/\b480\b/.test(error.message)) return undefined;
  throw error;
}
