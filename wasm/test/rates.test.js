// What is written and read at any rate, in pieces of any size, is the sound that went in: in virtual time.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { readWav } from "../dist/node.js";
import { Simulation } from "../dist/sim/node.js";
import { amplitude, tone } from "./sound.js";

const LEVEL = 8_000;
const SECONDS = 2;
const HERTZ = 1_000;

/** Two phones on a call. */
async function connected({ codecs, seed = 1 } = {}) {
  const sim = new Simulation({ seed });
  const phone = (ip) => sim.phone(ip, { user: "someone", ...(codecs && { codecs }) });
  const [alice, bob] = [phone("10.0.0.1"), phone("10.0.0.2")];
  await sim.until(Promise.all([alice.start(), bob.start()]));
  const arriving = bob.once("incoming");
  const call = alice.call("sip:bob@10.0.0.2");
  const { call: answering } = await sim.until(arriving);
  await sim.until(Promise.all([answering.answer(), call.answered()]));
  return { sim, call, answering };
}

/** Checks that samples hold the tone, whole, and silence around it. */
function assertTone(samples, rate, hertz = HERTZ, level = LEVEL) {
  const loud = (sample) => Math.abs(sample) > level / 10;
  const [from, to] = [samples.findIndex(loud), samples.findLastIndex(loud) + 1];
  const sound = samples.subarray(from, to);
  const seconds = sound.length / rate;
  assert.ok(Math.abs(seconds - SECONDS) < 0.002, `${seconds} s`);
  const found = amplitude(sound, hertz, rate);
  assert.ok(Math.abs(found - level) < 0.02 * level, `${hertz} Hz at ${found}`);
  // Not a frame is missing or another one: each has the tone, and goes on where the last one ended.
  const frame = rate / 50;
  for (let at = frame; at + 2 * frame < sound.length; at += frame) {
    const least = amplitude(sound.subarray(at, at + frame), hertz, rate);
    assert.ok(Math.abs(least - level) < 0.05 * level, `${hertz} Hz at ${least} at ${at / rate} s`);
  }
}

/** Pieces of odd sizes. */
function* pieces(samples) {
  for (let at = 0, size = 1; at < samples.length; at += size, size = ((size * 7 + 3) % 1_777) + 1) {
    yield samples.subarray(at, at + size);
  }
}

const asFloat = (samples) => Float32Array.from(samples, (sample) => sample / 32_768);

for (const codec of ["PCMU", "G722"]) {
  for (const rate of [8_000, 16_000, 24_000, 48_000]) {
    test(`${codec}: a tone at ${rate} is the tone that went in`, async () => {
      const { sim, call, answering } = await connected({ codecs: [codec] });
      const samples = tone(HERTZ, rate, SECONDS, 0);
      const heard = [];
      const listening = (async () => {
        for (let size = 1; ; size = ((size * 5 + 1) % 2_003) + 1) {
          const some = await answering.readAudio(rate, size);
          if (some.length === 0) return;
          heard.push(...some);
        }
      })();
      let isFloat = false;
      for (const piece of pieces(samples)) {
        assert.equal(call.writeAudio(rate, isFloat ? asFloat(piece) : piece), piece.length);
        isFloat = !isFloat;
      }
      await sim.run(SECONDS * 1_000 + 500);
      await sim.until(call.hangup());
      await sim.until(listening);
      assertTone(Int16Array.from(heard), rate);
      assert.ok(Math.abs(call.played - SECONDS) < 0.01, `${call.played} s`);
    });
  }
}

test("Web Streams carry it, and no more waits than is sent soon", async () => {
  const rate = 48_000;
  const { sim, call, answering } = await connected({ codecs: ["G722"] });
  const heard = [];
  const listening = (async () => {
    for await (const samples of answering.readable(rate)) heard.push(...samples);
  })();
  let most = 0;
  const told = async () => {
    const writer = call.writable(rate).getWriter();
    for (const piece of pieces(tone(HERTZ, rate, SECONDS, 0))) {
      await writer.ready;
      void writer.write(piece);
      most = Math.max(most, call.queued);
    }
    await writer.close();
    await sim.sleep(500);
    await call.hangup();
    await listening;
  };
  await sim.until(told());
  assert.ok(most < 0.3, `${most} s`);
  assertTone(Int16Array.from(heard), rate);
});

test("a stream that nobody reads keeps a second", async () => {
  const { sim, call, answering } = await connected();
  const reader = answering.readable(8_000).getReader();
  await sim.until(call.play({ rate: 8_000, samples: tone(HERTZ, 8_000, 5, 0) }));
  await sim.run(100);
  const { value } = await sim.until(reader.read());
  assert.equal(value.length, 8_000);
});

test("a recording has both sides at the times at which they were", async () => {
  const { sim, call, answering } = await connected();
  const recording = await call.record();
  const story = async () => {
    await call.play({ rate: 8_000, samples: tone(500, 8_000, 1, 0) });
    await answering.play({ rate: 8_000, samples: tone(1_500, 8_000, 1, 0) });
    await sim.sleep(500);
    await call.hangup();
    return recording.finished();
  };
  const wav = await sim.until(story());
  assert.deepEqual([...wav.subarray(20, 24)], [1, 0, 2, 0]);
  const all = new Int16Array(wav.buffer, 44);
  const [sent, heard] = [0, 1].map((side) => all.filter((_, i) => i % 2 === side));
  assert.equal(sent.length, heard.length);
  const loud = (sample) => Math.abs(sample) > 1_000;
  const [end, begin] = [sent.findLastIndex(loud), heard.findIndex(loud)];
  // The far end speaks when we have come to an end: a packet and its way, a packet back, and the jitter buffer.
  assert.ok(begin - end > 0 && begin - end < 0.15 * 8_000, `${begin - end} samples`);
  assert.ok(amplitude(sent.subarray(end - 7_000, end), 500) > 7_500);
  assert.ok(amplitude(heard.subarray(begin, begin + 7_000), 1_500) > 7_500);
  assert.ok(readWav(wav).samples.length === sent.length);
});

test("a play that is aborted is over at once, at the far end too", async () => {
  const { sim, call, answering } = await connected();
  const given = new AbortController();
  const playing = call.play({ rate: 8_000, samples: tone(HERTZ, 8_000, 30, 0) }, { signal: given.signal });
  const refused = assert.rejects(playing, { name: "AbortError" });
  await sim.run(1_000);
  given.abort();
  await sim.until(refused);
  answering.takeAudio(8_000);
  await sim.run(100);
  answering.takeAudio(8_000);
  await sim.run(900);
  const after = answering.takeAudio(8_000);
  assert.ok(after.length > 6_000 && after.every((sample) => Math.abs(sample) < 50));
});

test("marks tell when what was before them has been sent", async () => {
  const { sim, call } = await connected();
  call.writeAudio(8_000, new Int16Array(4_000));
  const first = call.mark("half a second");
  call.writeAudio(8_000, new Int16Array(80_000));
  const second = call.mark("long after");
  const began = sim.now;
  assert.equal(await sim.until(first), true);
  assert.ok(Math.abs(sim.now - began - 500) < 25, `${sim.now - began} ms`);
  call.flushAudio();
  assert.equal(await sim.until(second), false);
});
