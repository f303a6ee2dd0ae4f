// The examples, each run against `offhook exchange`, and called by a telephone of the package.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Phone, readWav } from "offhook";
import { command } from "./project.js";
import { amplitude, assertHears, tone, wav } from "../test/sound.js";

const OPTIONS = { timeout: 180_000 };

const { OFFHOOK_BIN: offhook } = process.env;
if (!offhook) throw new Error("OFFHOOK_BIN is missing: run `cargo xtask test npm`");

const example = (name) => fileURLToPath(new URL(`../examples/${name}.mjs`, import.meta.url));

/** Starts a program; `line` resolves with what it says next that fits. It ends with the test. */
function started(t, program, ...args) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode) return;
    child.kill();
    await once(child, "exit");
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async line(pattern) {
      for (let line; !(line = await lines.next()).done; ) {
        const found = pattern.exec(line.value);
        if (found) return found;
      }
      throw new Error(`${args[0]} has ended without saying ${pattern}`);
    },
  };
}

/** An exchange; its address. */
async function exchange(t) {
  const users = ["alice:a", "bob:b", "carol:c"].flatMap((user) => ["--user", user]);
  const program = started(t, offhook, "exchange", "--listen", "127.0.0.1:0", "--json", ...users);
  return (await program.line(/"local":"([^"]+)"/))[1];
}

/** A registered telephone. */
async function phone(t, server, user, parameters) {
  const made = new Phone({ server, user, password: user[0], bind: "127.0.0.1:0", ...parameters });
  t.after(() => made.close());
  await made.start();
  return made;
}

/** An example that registers as alice, and bob, who will call it. */
async function against(t, name, args = [], flags = []) {
  const server = await exchange(t);
  const program = started(t, process.execPath, ...flags, example(name), server, "alice", "a", ...args);
  await program.line(/registered/);
  return { program, bob: await phone(t, server, "bob") };
}

async function folder(t) {
  const made = await mkdtemp(join(tmpdir(), "offhook-"));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

test("echo: the caller hears itself", OPTIONS, async (t) => {
  const { bob } = await against(t, "echo");
  const call = bob.call("alice");
  await call.answered();
  await assertHears(call, call, 1_000);
  await call.hangup();
});

test("menu: a digit interrupts the prompt and chooses what is played", OPTIONS, async (t) => {
  const prompts = await folder(t);
  const file = (name, hertz, seconds) => writeFile(join(prompts, `${name}.wav`), wav(tone(hertz, 8_000, seconds, 0)));
  await Promise.all([file("welcome", 500, 30), file("again", 700, 1), file("1", 1_500, 2)]);
  const { program, bob } = await against(t, "menu", [prompts]);
  const call = bob.call("alice");
  await call.answered();
  const heard = [];
  const timer = setInterval(() => call.state === "answered" && heard.push(...call.takeAudio(8_000)), 50);
  t.after(() => clearInterval(timer));
  call.sendDtmf("9");
  await program.line(/pressed 9/);
  call.sendDtmf("1");
  await program.line(/pressed 1/);
  const { by } = await call.ended();
  assert.equal(by, "remote");
  // The chosen prompt comes to its end; of the first, half a minute long, hardly anything was heard.
  const samples = Int16Array.from(heard);
  const last = samples.subarray(-14_000, -6_000);
  assert.ok(amplitude(last, 1_500) > 4_000, `${amplitude(last, 1_500)} of 1,500 Hz`);
  assert.ok(samples.length < 20 * 8_000, `${samples.length} samples`);
});

test("menu: it is tested in virtual time", OPTIONS, async () => {
  const told = await command(process.cwd(), process.execPath, "--test", example("menu.test"));
  assert.match(told, /^# pass 3$/m);
});

test("recorder: what was said after the beep is in the file", OPTIONS, async (t) => {
  const messages = await folder(t);
  const { program, bob } = await against(t, "recorder", [messages]);
  const call = bob.call("alice");
  await call.answered();
  await call.play({ rate: 8_000, samples: tone(900, 8_000, 2, 1) });
  call.sendDtmf("#");
  assert.equal((await call.ended()).by, "remote");
  const [, file] = await program.line(/has left (.*)/);
  const { rate, samples } = readWav(await readFile(file));
  assert.equal(rate, 8_000);
  assert.ok(samples.length > 8_000, `${samples.length} samples`);
  const middle = samples.subarray(4_000, 12_000);
  assert.ok(amplitude(middle, 900) > 4_000, `${amplitude(middle, 900)} of 900 Hz`);
});

test("bot: a speech service hears the caller, and is heard", OPTIONS, async (t) => {
  const service = started(t, process.execPath, example("speech-service"), "0");
  const [url] = await service.line(/ws:\S+/);
  const { bob } = await against(t, "bot", [url], ["--no-warnings", "--experimental-websocket"]);
  const call = bob.call("alice");
  await call.answered();
  await service.line(/MEDIA_START/);
  await assertHears(call, call, 1_000);
  call.sendDtmf("0");
  await service.line(/DTMF_END 0/);
  assert.equal((await call.ended()).by, "remote");
});

test("bot: a caller is told when there is no service", OPTIONS, async (t) => {
  const flags = ["--no-warnings", "--experimental-websocket"];
  const { bob } = await against(t, "bot", ["ws://127.0.0.1:1"], flags);
  await assert.rejects(bob.call("alice").answered(), { status: 480 });
});

test("click to call: an HTTP request joins two telephones", OPTIONS, async (t) => {
  const server = await exchange(t);
  const program = started(t, process.execPath, example("click-to-call"), server, "alice", "a", "0");
  const [url] = await program.line(/http:\S+/);
  const post = async (body) => {
    const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
    return [response.status, await response.json()];
  };

  assert.equal((await post({ agent: "bob" }))[0], 400);
  const [status, { status: sip }] = await post({ agent: "bob", customer: "carol" });
  assert.deepEqual([status, sip], [502, 480], "bob is not registered yet");

  const bob = await phone(t, server, "bob", { acceptTransfer: true });
  const carol = await phone(t, server, "carol");
  const referred = bob.once("referred").then(({ referral }) => referral.accept());
  bob.on("incoming", ({ call }) => call.answer());
  const called = carol.once("incoming").then(({ call }) => call.answer().then(() => call));
  const [joined, result] = await post({ agent: "bob", customer: "carol" });
  assert.equal(joined, 200, JSON.stringify(result));
  assert.equal(result.transferred, true);
  const call = await referred;
  await call.answered();
  await assertHears(await called, call, 1_000);
  await call.hangup();
});
