// The media machine alone: two workers load it, and what crosses to them are values.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import { amplitude, tone } from "./sound.js";

const RATE = 16_000;
const HERTZ = 1_000;
// That of `tone`.
const LEVEL = 8_000;
const STEP = 20_000;

const ADDRESSES = [
  [192, 0, 2, 1],
  [192, 0, 2, 2],
];
const RTP_PORT = 4_000;

test("a tone and a digit pass between two workers that have the media machine alone", async () => {
  const wasm = await readFile(new URL("../dist/media.wasm", import.meta.url));
  const module = await WebAssembly.compile(wasm);
  const url = new URL("./media-worker.js", import.meta.url);
  const start = () => new Worker(url, { workerData: { module, key: randomBytes(16) } });
  const workers = [start(), start()];
  try {
    await call(workers);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
});

async function call(workers) {
  const sound = tone(HERTZ, RATE, 2, 0);
  const orders = [0, 1].map((end) => ({ controls: [open(), configure(1 - end)] }));
  const heard = [[], []];
  const events = [[], []];
  orders[0].samples = sound;
  for (let step = 0; step < 150; step += 1) {
    const now = 1e6 + step * STEP;
    const reports = await Promise.all(
      workers.map(async (worker, end) => {
        const answer = once(worker, "message");
        worker.postMessage({ now, ...orders[end] });
        return (await answer)[0];
      }),
    );
    reports.forEach((report, end) => {
      heard[end].push(...report.heard);
      events[end].push(...report.events.map((event) => [...event]));
      assert.ok(report.deadline > now && report.deadline <= now + STEP, `${report.deadline}`);
      orders[1 - end] = { packets: arriving(report.packets, end) };
    });
    if (step === 110) orders[0].digits = "5";
  }

  const loud = heard[1].findIndex((sample) => Math.abs(sample) > LEVEL / 10);
  const part = Int16Array.from(heard[1].slice(loud + 1_600, loud + 1_600 + RATE));
  assert.equal(part.length, RATE);
  const level = amplitude(part, HERTZ, RATE);
  assert.ok(Math.abs(level - LEVEL) < LEVEL / 50, `${HERTZ} Hz at ${level} instead of ${LEVEL}`);
  for (const other of [HERTZ - 100, HERTZ + 100, 2 * HERTZ]) {
    assert.ok(amplitude(part, other, RATE) < LEVEL / 50, `${other} Hz is heard too`);
  }
  assert.ok(heard[0].every((sample) => Math.abs(sample) < 10), "the other side said nothing");
  const digit = [1, 0, 0, 0, 0, "5".charCodeAt(0)];
  const told = events[1].filter((event) => event.slice(0, 6).join() === digit.join());
  assert.equal(told.length, 1, JSON.stringify(events[1]));
}

/** Packets as they arrive at the other end: with the address they come from. */
function arriving(packets, from) {
  const view = new DataView(packets.buffer, packets.byteOffset, packets.byteLength);
  for (let at = 0; at < packets.length; at += 28 + view.getUint32(at, true)) {
    const rtcp = packets[at + 8] === 2;
    assert.deepEqual([...packets.subarray(at + 12, at + 16)], ADDRESSES[1 - from]);
    packets.set(ADDRESSES[from], at + 12);
    view.setUint16(at + 10, RTP_PORT + (rtcp ? 1 : 0), true);
  }
  return packets;
}

// What signalling would tell, by hand: `core/src/media/bytes.rs`.
const u32 = (value) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const u64 = (value) => [...u32(Math.floor(value / 2 ** 32)), ...u32(value % 2 ** 32)];
const text = (value) => [...u32(value.length), ...Buffer.from(value)];
const address = (end, port) => [4, ...ADDRESSES[end], port >> 8, port & 255];
const none = [0];
const some = (...value) => [1, ...value];

function open() {
  const options = [...none, 1, ...u64(100_000), ...u64(100_000)];
  return Uint8Array.from([1, 0, ...text("worker"), ...options]);
}

function configure(peer) {
  const pcmu = [0, ...text("PCMU"), ...u32(8_000), 1, ...none];
  const digits = [...u64(0xffff), ...u64(0), ...u64(0), ...u64(0)];
  const addresses = [...address(peer, RTP_PORT), ...address(peer, RTP_PORT + 1)];
  const audio = [0, ...pcmu, ...u32(1), ...pcmu];
  const agreed = [0, ...addresses, ...audio, ...some(101), ...digits, ...some(101), ...u64(STEP)];
  return Uint8Array.from([1, 1, 0, 0, ...u64(1), ...agreed]);
}
