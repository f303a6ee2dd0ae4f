// Many calls in one process: their sound in time, nothing in a burst after a stall, and nothing left of them.
import assert from "node:assert/strict";
import { Socket } from "node:dgram";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { moduleMemory } from "../dist/module.js";
import { missing, offhook } from "./offhook.js";
import { at, OPTIONS, started } from "./phones.js";
import { spoilt, tone } from "./sound.js";
import { unlessStalled } from "./stall.js";

const RATE = 8_000;
/** How much of its time a machine has to have nothing to do: with less, others make it wait. */
const IDLE = 0.1;

const many = (low, high) => ({ rtpPorts: [low, high], maxCalls: 1_000 });

test("200 calls have their sound in time", { ...OPTIONS, skip: missing }, async (t) => {
  const [calls, seconds] = [200, 3];
  const ports = ["--rtp-ports", "34000-35998"];
  const echo = offhook(t, "answer", "--bind", "127.0.0.1:0", "--echo", ...ports);
  const { local } = await echo.event("listening");
  const alice = await started(t, "alice", many(36_000, 37_998));
  // A machine that never has time says nothing of us.
  const idle = { idle: IDLE, exhausted: (told) => t.skip(told) };
  await unlessStalled(async () => {
    const up = [];
    while (up.length < calls) {
      const call = alice.call(`sip:echo@${local}`);
      await call.answered();
      up.push(call);
    }
    const heard = up.map(() => []);
    const sound = tone(1_000, RATE, seconds, 0);
    for (const call of up) {
      call.takeAudio(RATE);
      call.writeAudio(RATE, sound);
    }
    const end = performance.now() + (seconds + 1) * 1_000;
    while (performance.now() < end) {
      await new Promise((again) => setTimeout(again, 100));
      up.forEach((call, at) => heard[at].push(...call.takeAudio(RATE)));
    }
    const ends = await Promise.all(up.map((call) => call.hangup()));
    for (const { stats } of ends) {
      const { lost, late, discarded, stalledFrames } = stats;
      const wrong = Object.entries({ lost, late, discarded, stalledFrames }).filter(([, count]) => count > 0);
      if (wrong.length > 0) return wrong.map(([what, count]) => `${what}: ${count}`).join();
    }
    return heard.map((samples) => spoilt(Int16Array.from(samples), 1_000, seconds)).find(Boolean);
  }, idle);
});

test("after a stall of half a second no packets are sent in a burst", { ...OPTIONS, skip: missing }, async (t) => {
  const echo = offhook(t, "answer", "--bind", "127.0.0.1:0", "--echo", "--rtp-ports", "38000-38098");
  const { local } = await echo.event("listening");
  const alice = await started(t, "alice", many(38_100, 38_198));
  const call = alice.call(`sip:echo@${local}`);
  await call.answered();
  call.writeAudio(RATE, tone(1_000, RATE, 5, 0));
  const sent = [];
  const send = Socket.prototype.send;
  t.mock.method(Socket.prototype, "send", function (bytes, ...rest) {
    // Version 2, and no RTCP.
    if (bytes.length > 100 && bytes[0] >> 6 === 2) {
      sent.push({ at: performance.now(), marker: bytes[1] >= 0x80, time: bytes.readUInt32BE(4) });
    }
    return send.call(this, bytes, ...rest);
  });
  while (sent.length < 10) await new Promise(setImmediate);
  const stalled = performance.now() + 500;
  while (performance.now() < stalled);
  const before = sent.length;
  while (sent.length < before + 20) await new Promise(setImmediate);
  const after = sent.slice(before);
  // What is up to three packets late is sent at once; what is later was left out.
  const atOnce = after.filter(({ at }) => at < stalled + 15);
  assert.ok(atOnce.length <= 4, `${atOnce.length} packets at once`);
  const first = after.findIndex(({ marker }) => marker);
  assert.ok(first >= 0, "the gap is marked");
  // The time of RTP has gone on by what was left out.
  const [last, next] = [sent[before - 1], after[first]];
  const gap = (next.time - last.time) >>> 0;
  assert.ok(gap >= 0.35 * RATE && gap <= 0.6 * RATE, `${gap} samples left out`);
  const { stats } = await call.hangup();
  assert.ok(stats.stalledFrames >= 20, `${stats.stalledFrames} frames left out`);
});

/** For how long a server transaction over UDP waits for requests that were sent twice (RFC 3261 §17.2: 64 T1). */
const TRANSACTION_MS = 32_000;

for (const [transport, calls, lasting] of [["udp", 5_000, TRANSACTION_MS], ["tcp", 1_000, 0]]) {
  test(`nothing is left of ${calls} calls by ${transport}`, OPTIONS, async (t) => {
    const alice = await started(t, "alice", many(39_000, 39_998));
    const bob = await started(t, "bob", many(40_000, 40_998));
    bob.on("incoming", ({ call }) => call.answer().catch(() => {}));
    const target = `${at(bob)};transport=${transport}`;
    const make = async (calls) => {
      const one = async () => {
        while ((calls -= 1) >= 0) {
          const call = alice.call(target);
          await call.answered();
          await call.hangup();
        }
      };
      await Promise.all(Array.from({ length: 20 }, one));
    };
    const before = descriptors();
    const gone = () => new Promise((resolve) => setTimeout(resolve, lasting));
    await make(calls);
    await gone();
    const [heap, memory] = [heapUsed(), moduleMemory().buffer.byteLength];
    await make(calls);
    await gone();
    const grown = heapUsed() - heap;
    assert.ok(grown < 1.5e6, `${grown} bytes more for ${calls} calls`);
    // As many calls in the same time need the same room; how many a second there are, the machine decides.
    assert.ok(moduleMemory().buffer.byteLength < 1.5 * memory, `${memory} bytes of the module, then ${moduleMemory().buffer.byteLength}`);
    assert.deepEqual([alice.calls, bob.calls], [[], []]);
    await Promise.all([alice.close(), bob.close()]);
    const end = performance.now() + 60_000;
    while (descriptors() > before - 4) {
      assert.ok(performance.now() < end, `${before} descriptors before, ${descriptors()} after`);
      await new Promise((again) => setTimeout(again, 100));
    }
  });
}

/** How many descriptors this process has; always the same where the system does not tell. */
function descriptors() {
  return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
}

/** What JavaScript holds once all that nobody needs is collected, in bytes. */
function heapUsed() {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}
