// A phone of this package among the native programs: it registers at `offhook exchange` and calls
// `offhook answer`. Needs the command: OFFHOOK_BIN, or target/debug/offhook.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Phone } from "../node/phone.js";
import { assertHears } from "./sound.js";

const built = fileURLToPath(new URL("../../target/debug/offhook", import.meta.url));
const binary = process.env.OFFHOOK_BIN ?? built;
const missing = !process.env.OFFHOOK_BIN && !existsSync(binary);
const OPTIONS = { timeout: 180_000, skip: missing && `${binary} is missing: run cargo build` };

/** Starts the command; `event` resolves with the next event of a type. */
function offhook(t, ...args) {
  const child = spawn(binary, [...args, "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async event(type) {
      for (let line; !(line = await lines.next()).done; ) {
        const event = JSON.parse(line.value);
        if (event.event === type) return event;
        assert.notEqual(event.event, "error", line.value);
      }
      throw new Error(`offhook ${args[0]} ended without ${type}`);
    },
  };
}

async function exchange(t) {
  const users = ["--user", "alice:a", "--user", "bob:b"];
  const command = offhook(t, "exchange", "--listen", "127.0.0.1:0", ...users);
  return (await command.event("listening")).local;
}

const alice = (server) => ({
  server,
  user: "alice",
  password: "a",
  bind: "127.0.0.1:0",
  rtpPorts: [42_000, 42_098],
});

test("a call with sound and digits through the exchange", OPTIONS, async (t) => {
  const server = await exchange(t);
  const bob = ["--server", server, "--user", "bob", "--password", "b", "--bind", "127.0.0.1:0"];
  const answering = offhook(t, "answer", ...bob, "--rtp-ports", "43000-43098", "--echo");
  await answering.event("registered");

  const phone = new Phone(alice(server));
  t.after(() => phone.stop());
  await phone.start();
  assert.equal(phone.status, "registered");
  const call = phone.call("bob");
  await call.answered();
  // The far end sends back what it hears.
  await assertHears(call, call, 1_000);
  call.sendDtmf("195");
  const digits = [];
  while (digits.length < 3) digits.push((await answering.event("dtmf")).digit);
  assert.equal(digits.join(""), "195");
  await call.hangup();
  assert.equal((await answering.event("ended")).by, "remote");

  const { stats } = await call.ended();
  assert.equal(stats.lost, 0);
});

test("a wrong password is refused", OPTIONS, async (t) => {
  const given = { ...alice(await exchange(t)), password: "wrong", registrationAttempts: 1 };
  const phone = new Phone(given);
  await assert.rejects(phone.start(), { code: "registration_failed" });
  assert.equal(phone.status, "failed");
});
