// The sound of a call, in a time that passes when a test says so.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { readWav } from "../dist/node.js";
import { tone, wav } from "./sound.js";
import { StillCall } from "./still-call.js";

const RATE = 8_000;

/** Samples that tell where they are. */
const ramp = (length, from = 1) => Int16Array.from({ length }, (_, i) => from + i);

/** What became of a promise so far. */
async function state(promise) {
  const waits = Symbol("waits");
  const found = await Promise.race([promise.then(() => "done", (error) => error), new Promise(setImmediate).then(() => waits)]);
  return found === waits ? "waits" : found;
}

test("what is read is waited for, and comes whole", async () => {
  const call = new StillCall();
  call.machine.heard.push(...ramp(1_000));
  const reading = call.sound.readAudio(RATE, 250);
  await call.pass(20);
  assert.equal(await state(reading), "waits");
  await call.pass(20);
  assert.deepEqual(await reading, ramp(250));
  assert.equal(call.looks, 0);
  // More than half a second is not waited for.
  const much = call.sound.readAudio(RATE, 100_000);
  call.machine.heard.push(...ramp(9_000));
  await call.pass(500);
  assert.equal((await much).length >= RATE / 2, true);
});

test("what was heard can be read when the call is over, at any rate", async () => {
  const call = new StillCall();
  const rest = new StillCall();
  for (const each of [call, rest]) {
    each.machine.heard.push(...tone(440, RATE, 1, 0).subarray(0, 800));
    await each.pass(100);
    await each.end();
  }
  assert.equal((await call.sound.readAudio(RATE, 300)).length, 300);
  assert.equal(call.sound.takeAudio(RATE).length, 500);
  assert.equal((await call.sound.readAudio(RATE, 300)).length, 0);
  assert.equal(rest.sound.takeAudio(48_000, 1_000).length, 1_000);
  assert.equal(rest.sound.takeAudio(16_000).length, Math.round((4_800 - 1_000) / 3));
});

test("who waits for sound is told that the call is over, and that a signal was aborted", async () => {
  const call = new StillCall();
  const given = new AbortController();
  const reading = call.sound.readAudio(RATE, 100, { signal: given.signal });
  const other = call.sound.readAudio(RATE, 100);
  given.abort(new Error("enough"));
  await assert.rejects(reading, /enough/);
  await call.end();
  assert.equal((await other).length, 0);
  assert.equal(call.looks, 0);
  await assert.rejects(call.sound.play({ rate: RATE, samples: ramp(10) }), { name: "OffhookError", code: "ended" });
  assert.throws(() => call.sound.writeAudio(RATE, ramp(10)), { code: "ended" });
});

test("silence fills what is not there", async () => {
  const call = new StillCall();
  call.machine.heard.push(...ramp(160));
  await call.pass(20);
  const samples = call.sound.readAudioOrSilence(RATE, 200);
  assert.deepEqual(samples.subarray(0, 160), ramp(160));
  assert.deepEqual(samples.subarray(160), new Int16Array(40));
});

test("what cannot be used is refused in words", async () => {
  const call = new StillCall();
  const refused = { name: "OffhookError", code: "invalid_value" };
  for (const rate of [0, 3_999, 192_001, 8_000.5, NaN, undefined]) {
    assert.throws(() => call.sound.writeAudio(rate, ramp(1)), refused);
    assert.throws(() => call.sound.takeAudio(rate), refused);
    assert.throws(() => call.sound.readable(rate), refused);
    await assert.rejects(call.sound.play({ rate, samples: ramp(1) }), refused);
  }
  assert.throws(() => call.sound.writeAudio(RATE, [1, 2]), /not of Array/);
  assert.throws(() => call.sound.writeAudio(RATE, new Uint8Array(2)), /not of Uint8Array/);
  for (const count of [-1, 0.5, NaN, 2 ** 24 + 1, Number.MAX_SAFE_INTEGER]) {
    assert.throws(() => call.sound.takeAudio(RATE, count), refused);
    assert.throws(() => call.sound.readAudioOrSilence(RATE, count), refused);
    await assert.rejects(call.sound.readAudio(RATE, count), refused);
  }
  for (const source of [null, undefined, 5, Symbol("x")]) await assert.rejects(call.sound.play(source), refused);
  await assert.rejects(call.sound.play("hello.wav"), { code: "file", message: /hello\.wav: this host reads no files/ });
  await assert.rejects(call.sound.play(new Uint8Array(50)), { code: "wav" });
  await assert.rejects(call.sound.record("out.wav"), { code: "file", message: /out\.wav: this host makes no files/ });
  call.machine.state = "ringing";
  await assert.rejects(call.sound.play({ rate: RATE, samples: ramp(1) }), /cannot play to a call that is ringing/);
  await assert.rejects(call.sound.readAudio(RATE, 1), { code: "invalid_state" });
});

test("floating point is what it is in 16 bits", () => {
  const call = new StillCall();
  assert.equal(call.sound.writeAudio(RATE, Float32Array.of(0, 0.5, -0.5, 1, -1, 7, -7, NaN)), 8);
  const written = [0, 16_384, -16_384, 32_767, -32_768, 32_767, -32_768, 0];
  assert.deepEqual(call.machine.waiting, written);
});

test("a play resolves when the last of it was sent, and little waits meanwhile", async () => {
  const call = new StillCall();
  const samples = ramp(4_000);
  const playing = call.sound.play({ rate: RATE, samples });
  for (let passed = 0; passed < 480; passed += 20) {
    await call.pass(20);
    assert.equal(call.machine.waiting.length <= 0.25 * RATE, true);
    assert.equal(await state(playing), "waits");
  }
  await call.pass(20);
  await playing;
  assert.deepEqual(Int16Array.from(call.machine.sent), samples);
  assert.equal(call.sound.played, 0.5);
  assert.equal(call.looks, 0);
});

test("plays take turns, and one that is aborted makes room for the next at once", async () => {
  const call = new StillCall();
  const given = new AbortController();
  const first = call.sound.play({ rate: RATE, samples: ramp(20_000) }, { signal: given.signal });
  const second = call.sound.play({ rate: RATE, samples: ramp(160, -500) });
  const third = call.sound.play({ rate: RATE, samples: ramp(160) }, { signal: given.signal });
  await call.pass(100);
  assert.equal(call.machine.sent.length, 800);
  given.abort(new Error("enough"));
  await assert.rejects(first, /enough/);
  await assert.rejects(third, /enough/);
  await call.pass(20);
  await second;
  assert.deepEqual(Int16Array.from(call.machine.sent.slice(800)), ramp(160, -500));
  await assert.rejects(call.sound.play({ rate: RATE, samples: ramp(1) }, { signal: given.signal }), /enough/);
});

test("a WAV is played from its bytes and from a file", async () => {
  const bytes = wav(Object.assign(ramp(160), { rate: RATE }));
  const files = new Map([["hello.wav", bytes], ["song.mp3", Buffer.from("ID3 something else, and long enough")]]);
  const call = new StillCall({ load: async (file) => files.get(file) });
  const whole = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  for (const source of ["hello.wav", bytes, whole]) {
    const playing = call.sound.play(source);
    await call.pass(20);
    await playing;
    assert.deepEqual(Int16Array.from(call.machine.sent.splice(0)), ramp(160));
  }
  await assert.rejects(call.sound.play("song.mp3"), { code: "wav", message: /^song\.mp3: .*no WAV file/ });
});

test("a play that the far end cuts short says so", async () => {
  const call = new StillCall();
  const playing = call.sound.play({ rate: RATE, samples: ramp(20_000) });
  await call.pass(100);
  const refused = assert.rejects(playing, { code: "ended" });
  await call.end();
  await refused;
});

test("a mark tells whether the sound before it was played", async () => {
  const call = new StillCall();
  assert.equal(await call.sound.mark("nothing before it"), true);
  call.sound.writeAudio(RATE, ramp(160));
  const [one, two] = [call.sound.mark("here"), call.sound.mark("here")];
  call.sound.writeAudio(RATE, ramp(800));
  const dropped = call.sound.mark("later");
  await call.pass(20);
  assert.deepEqual(await Promise.all([one, two]), [true, true]);
  assert.equal(await state(dropped), "waits");
  assert.equal(call.sound.queued, 0.1);
  assert.equal(call.sound.flushAudio(), 0.1);
  assert.equal(await dropped, false);
  call.sound.writeAudio(RATE, ramp(160));
  const marks = Array.from({ length: 256 }, (_, i) => call.sound.mark(`${i}`));
  assert.throws(() => call.sound.mark("one more"), { code: "too_many_marks" });
  await call.end();
  assert.equal((await Promise.all(marks)).some((played) => played), false);
});

test("a stream of what is heard reads no further than it is read", async () => {
  const call = new StillCall();
  const stream = call.sound.readable(RATE);
  call.machine.heard.push(...ramp(20_000));
  await call.pass(200);
  // Nobody has read: it is still the machine's, which keeps a second.
  assert.equal(call.machine.unread.length, 1_600);
  await call.pass(2_000);
  assert.equal(call.machine.unread.length, RATE);
  const reader = stream.getReader();
  assert.equal((await reader.read()).value.length, RATE);
  const next = reader.read();
  await call.pass(20);
  assert.deepEqual((await next).value, ramp(160, 17_601));
  await call.end();
  assert.equal((await reader.read()).done, true);
});

test("a stream that is given up waits for nothing", async () => {
  const call = new StillCall();
  const reader = call.sound.readable(RATE).getReader();
  const reading = reader.read();
  await call.pass(20);
  assert.equal(call.looks, 1);
  await reader.cancel();
  assert.equal((await reading).done, true);
  await call.pass(20);
  assert.equal(call.looks, 0);
});

test("a stream that is sent waits for room, and for a call that is not answered yet", async () => {
  const call = new StillCall();
  call.machine.state = "ringing";
  const writer = call.sound.writable(RATE).getWriter();
  let written = 0;
  const source = (async () => {
    for (; written < 30; written += 1) {
      await writer.ready;
      writer.write(written % 2 ? ramp(800) : new Float32Array(800)).catch(() => {});
    }
    await writer.close();
  })();
  await call.pass(200);
  assert.equal(written, 1);
  call.answer();
  for (let passed = 0; passed < 1_000; passed += 20) {
    await call.pass(20);
    assert.equal(call.machine.waiting.length <= 0.25 * RATE, true);
  }
  assert.equal(written < 15, true);
  await call.pass(2_200);
  await source;
  assert.equal(call.machine.sent.length, 30 * 800);
});

test("a stream that is aborted drops what waits", async () => {
  const call = new StillCall();
  const writer = call.sound.writable(RATE).getWriter();
  const writing = writer.write(ramp(8_000));
  writing.catch(() => {});
  await call.pass(40);
  await writer.abort(new Error("enough"));
  await assert.rejects(writing, /enough/);
  assert.equal(call.sound.queued, 0);
});

test("a recording has the two sides in time, from where it began to where it ended", async () => {
  const call = new StillCall();
  call.machine.heard.push(...ramp(8_000, 1));
  await call.pass(100);
  const both = await call.sound.record();
  call.sound.writeAudio(RATE, ramp(8_000, 10_001));
  await call.pass(400);
  const received = await call.sound.record({ kept: "received" });
  await call.pass(60);
  const [stereo, mono] = [await both.stop(), await received.stop()];
  const view = new DataView(stereo.buffer);
  assert.deepEqual([view.getUint16(22, true), view.getUint32(24, true)], [2, RATE]);
  const pairs = new Int16Array(stereo.buffer, 44);
  assert.equal(pairs.length, 2 * 0.46 * RATE);
  for (let i = 0; i < pairs.length; i += 2) {
    assert.deepEqual([pairs[i], pairs[i + 1]], [10_001 + i / 2, 801 + i / 2]);
  }
  assert.deepEqual(readWav(mono).samples, ramp(480, 801 + 3_200));
  assert.deepEqual(await both.finished(), stereo);
  assert.equal(call.looks, 0);
});

test("a recording that is begun before the call has media begins with it", async () => {
  const call = new StillCall();
  call.machine.state = "ringing";
  const recording = await call.sound.record({ kept: "received" });
  await call.pass(100);
  call.answer();
  await call.pass(20);
  call.machine.heard.push(...ramp(1_600));
  await call.pass(200);
  await call.end();
  const { samples } = readWav(await recording.finished());
  assert.deepEqual(samples.subarray(samples.indexOf(1)), ramp(1_600));
});

/** A file in memory whose disk is as slow as a test wants. */
class Disk {
  file = new Uint8Array();
  writes = 0;
  isClosed = false;
  gate = Promise.resolve();

  create = async () => ({
    write: async (bytes, position) => {
      await this.gate;
      this.writes += 1;
      const file = new Uint8Array(Math.max(this.file.length, position + bytes.length));
      file.set(this.file);
      file.set(bytes, position);
      this.file = file;
      // Whatever was written so far can be played.
      assert.equal(readWav(this.file.length > 44 ? this.file : this.file.slice()).cutShort, undefined);
    },
    close: async () => {
      this.isClosed = true;
    },
  });
}

test("a file is a WAV at every moment, and whole when the call is over", async () => {
  const disk = new Disk();
  const call = new StillCall(disk);
  const recording = await call.sound.record("out.wav");
  call.machine.heard.push(...ramp(24_000));
  await call.pass(2_600);
  // When the process is killed now, a second is lost.
  assert.equal(disk.file.length >= 44 + 1.5 * RATE * 4, true);
  assert.equal(disk.writes <= 8, true);
  await call.end();
  await recording.finished();
  assert.equal(disk.isClosed, true);
  const pairs = new Int16Array(disk.file.buffer, 44);
  assert.deepEqual(pairs.filter((_, i) => i % 2 === 1), ramp(20_800));
});

test("a disk that is slow delays nothing", async () => {
  const disk = new Disk();
  const call = new StillCall(disk);
  let open;
  disk.gate = new Promise((resolve) => (open = resolve));
  const recording = await call.sound.record("out.wav", { kept: "received" });
  call.machine.heard.push(...ramp(30_000));
  const playing = call.sound.play({ rate: RATE, samples: ramp(8_000) });
  await call.pass(3_000);
  assert.equal(await state(playing), "done");
  assert.equal(disk.writes, 0);
  open();
  await recording.stop();
  assert.deepEqual(readWav(disk.file).samples, ramp(24_000));
});

test("what the disk refuses is told to whoever asks", async () => {
  const call = new StillCall({
    create: async () => ({
      write: async () => {
        throw Object.assign(new Error("the disk is full"), { code: "file" });
      },
      close: async () => {},
    }),
  });
  const recording = await call.sound.record("out.wav");
  await call.pass(2_000);
  assert.equal(call.looks, 0);
  await assert.rejects(recording.finished(), /the disk is full/);
  const refused = new StillCall({ create: () => Promise.reject(new Error("no such folder")) });
  await assert.rejects(refused.sound.record("no/such.wav"), /no such folder/);
  assert.equal(refused.looks, 0);
});
