// AbortSignal wherever one waits.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { Phone } from "../dist/node.js";
import { at, connected, nextCall, OPTIONS, started } from "./phones.js";

test("whatever waits can be given up, and goes on", OPTIONS, async (t) => {
  const { alice, bob, call } = await connected(t);
  const waits = {
    readDtmf: (signal) => call.readDtmf(1, { signal }),
    ended: (signal) => call.ended({ signal }),
    "once of a call": (signal) => call.once("silent", { signal }),
    "once of a phone": (signal) => alice.once("message", { signal }),
  };
  for (const [name, wait] of Object.entries(waits)) {
    const waiting = new AbortController();
    const promise = wait(waiting.signal);
    waiting.abort(new Error(name));
    await assert.rejects(promise, { message: name });
    await assert.rejects(wait(AbortSignal.abort()), { name: "AbortError" }, name);
  }
  // What was aborted before has sent nothing.
  const before = AbortSignal.abort();
  const never = {
    hold: () => call.hold({ signal: before }),
    transfer: () => call.transfer(at(bob), { signal: before }),
    hangup: () => call.hangup({ signal: before }),
    request: () => call.request("INFO", { signal: before }),
    options: () => alice.options(at(bob), { signal: before }),
    message: () => alice.message(at(bob), "x", { signal: before }),
  };
  for (const [name, command] of Object.entries(never)) {
    await assert.rejects(command(), { name: "AbortError" }, name);
  }
  assert.equal(call.state, "answered");
});

test("an answer that is not waited for is given all the same", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  const giveUp = new AbortController();
  const answered = call.answered({ signal: giveUp.signal });
  giveUp.abort();
  await assert.rejects(answered, { name: "AbortError" });
  await (await arriving).answer();
  await call.answered();
});

test("a start that is given up leaves nothing behind", OPTIONS, async (t) => {
  const nobody = createSocket("udp4").bind(0, "127.0.0.1");
  t.after(() => nobody.close());
  await once(nobody, "listening");
  const server = `127.0.0.1:${nobody.address().port}`;
  const phone = new Phone({ server, user: "alice", bind: "127.0.0.1:0", allowTcp: false });
  t.after(() => phone.close());
  const giveUp = new AbortController();
  const starting = phone.start({ signal: giveUp.signal });
  // REGISTER has come.
  await once(nobody, "message");
  giveUp.abort();
  await assert.rejects(starting, { name: "AbortError" });
  assert.deepEqual([phone.status, phone.listening], ["inactive", []]);
});
