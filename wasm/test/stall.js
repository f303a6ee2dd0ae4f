// Whether this machine stalled while something was measured in real time.
import assert from "node:assert/strict";
import { cpus } from "node:os";
import { Worker } from "node:worker_threads";

const TICK_MS = 2;
/** How long a machine has to stand still for it to be heard: a frame. */
const STALL_MS = 20;
const ATTEMPTS = 5;
/** After how long nothing is played again: a loaded machine takes long for each attempt. */
const PATIENCE_MS = 60_000;

/**
 * Plays until nothing is spoilt; `play` resolves with what is. A host that is late skips what it was late for, so
 * it is played again, which is said, where the machine itself is shown to have stalled meanwhile, or to have had
 * less than the share `idle` of its time left; and only there. The last time `exhausted` is called.
 */
export async function unlessStalled(play, { idle = 0, exhausted = assert.fail } = {}) {
  const [stalls, idles] = [new StallMeter(), new IdleMeter()];
  try {
    await stalls.started();
    const began = performance.now();
    for (let attempt = 1; ; attempt += 1) {
      stalls.take();
      idles.take();
      const problem = await play();
      if (!problem) return;
      const [stall, left] = [stalls.take(), idles.take()];
      const told = `${problem}; the machine stalled for ${stall} ms, and was idle for ${Math.round(left * 100)} %`;
      if (stall < STALL_MS && left >= idle) assert.fail(told);
      if (attempt === ATTEMPTS || performance.now() - began > PATIENCE_MS) return exhausted(told);
      console.warn(`played again: ${told}`);
    }
  } finally {
    await stalls.stop();
  }
}

// A thread of its own, so that what a test does to its event loop is no stall.
const TICKER = `
  const { workerData } = require("node:worker_threads");
  const cells = new Int32Array(workerData);
  const [longest, never] = [cells.subarray(0, 1), cells.subarray(1, 2)];
  for (let last = performance.now(); ; ) {
    Atomics.wait(never, 0, 0, ${TICK_MS});
    const now = performance.now();
    if (now - last > Atomics.load(longest, 0)) Atomics.store(longest, 0, Math.round(now - last));
    last = now;
  }
`;

/** A thread that ticks, and how late it was at the most. */
class StallMeter {
  #longest;
  #worker;

  constructor() {
    const shared = new SharedArrayBuffer(8);
    this.#longest = new Int32Array(shared, 0, 1);
    this.#worker = new Worker(TICKER, { eval: true, workerData: shared });
  }

  /** Resolves when it ticks. */
  async started() {
    while (Atomics.load(this.#longest, 0) === 0) await new Promise((done) => setTimeout(done, 5));
  }

  /** The longest time between two ticks since this was asked last, in milliseconds. */
  take() {
    return Atomics.exchange(this.#longest, 0, 0);
  }

  stop() {
    return this.#worker.terminate();
  }
}

/** How much of its time this machine had nothing to do. */
class IdleMeter {
  #before = this.#times();

  /** The share of it, 0 to 1, since this was asked last. */
  take() {
    const now = this.#times();
    const [idle, all] = [now.idle - this.#before.idle, now.all - this.#before.all];
    this.#before = now;
    return all > 0 ? idle / all : 1;
  }

  #times() {
    const sum = (values) => values.reduce((total, value) => total + value, 0);
    const times = cpus().map((cpu) => cpu.times);
    return { idle: sum(times.map(({ idle }) => idle)), all: sum(times.flatMap(Object.values)) };
  }
}
