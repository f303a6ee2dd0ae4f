// Tones, and whether a call carries them.
import { unlessStalled } from "./stall.js";

const RATE = 8_000;
const FRAME = RATE / 50;
const SECONDS = 1;
const LEVEL = 8_000;

/**
 * Checks that a tone that `speaker` plays is heard by `listener` at its frequency and level, of its length and
 * without gaps: strictly, but for a machine that stalls.
 */
export function assertHears(listener, speaker, hertz, rate = RATE) {
  return unlessStalled(async () => spoilt(await hear(listener, speaker, hertz, rate), hertz));
}

/** What `listener` hears while `speaker` plays a tone. */
async function hear(listener, speaker, hertz, rate) {
  listener.takeAudio(RATE);
  const heard = [];
  const timer = setInterval(() => heard.push(...listener.takeAudio(RATE)), 50);
  // Silence at the end, so that all of the tone was heard when the last sample has left.
  await speaker.play({ rate, samples: tone(hertz, rate, SECONDS, 1) });
  clearInterval(timer);
  return Int16Array.from(heard);
}

/** A tone at `rate` samples a second, and silence after it. */
export function tone(hertz, rate, seconds, silence) {
  const samples = new Int16Array(rate * (seconds + silence));
  const step = (2 * Math.PI * hertz) / rate;
  for (let i = 0; i < rate * seconds; i += 1) samples[i] = LEVEL * Math.sin(i * step);
  return Object.assign(samples, { rate });
}

/** A mono WAV of samples that know their rate, of a length that it may tell wrongly. */
export function wav(samples, { mulaw = false, length = samples.length * (mulaw ? 1 : 2) } = {}) {
  const width = mulaw ? 1 : 2;
  const file = Buffer.alloc(44 + samples.length * width);
  file.write("RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0", "latin1");
  [mulaw ? 7 : 1, 1].forEach((value, i) => file.writeUInt16LE(value, 20 + 2 * i));
  [samples.rate, samples.rate * width].forEach((value, i) => file.writeUInt32LE(value, 24 + 4 * i));
  [width, 8 * width].forEach((value, i) => file.writeUInt16LE(value, 32 + 2 * i));
  file.write("data", 36);
  file.writeUInt32LE(length, 40);
  samples.forEach((sample, i) =>
    mulaw ? file.writeUInt8(toMulaw(sample), 44 + i) : file.writeInt16LE(sample, 44 + 2 * i),
  );
  return file;
}

/** G.711: sign, segment, and the step within it, all inverted. */
function toMulaw(sample) {
  const magnitude = Math.min(Math.abs(sample) >> 2, 8_158) + 33;
  const segment = 26 - Math.clz32(magnitude);
  const step = (magnitude >> (segment + 1)) & 15;
  return ~((sample < 0 ? 0x80 : 0) | (segment << 4) | step) & 0xff;
}

/** What is wrong with a tone of so many seconds that was heard. */
export function spoilt(samples, hertz, seconds = SECONDS) {
  const sound = loudOf(samples);
  if (Math.abs(sound.length - seconds * RATE) > 2 * FRAME) return `${sound.length} samples heard`;
  return uneven(sound, hertz);
}

/** The same where the far end may begin late and end early: so many seconds of it have to be there. */
export function spoiltOfAtLeast(samples, hertz, seconds) {
  const sound = loudOf(samples);
  if (sound.length < seconds * RATE) return `${sound.length} samples heard`;
  return uneven(sound, hertz);
}

/** From the first loud sample to the last. */
function loudOf(samples) {
  const loud = (sample) => Math.abs(sample) > LEVEL / 10;
  return samples.subarray(samples.findIndex(loud), samples.findLastIndex(loud) + 1);
}

/** Where a tone is not at its level. */
function uneven(sound, hertz) {
  const level = amplitude(sound, hertz);
  if (Math.abs(level - LEVEL) > LEVEL / 10) return `${hertz} Hz at ${level} instead of ${LEVEL}`;
  for (let at = 0; at + FRAME <= sound.length; at += FRAME) {
    const least = amplitude(sound.subarray(at, at + FRAME), hertz);
    if (least < 0.7 * LEVEL) return `${hertz} Hz fell to ${least} at sample ${at}`;
  }
  return undefined;
}

/** The amplitude of one frequency in samples (Goertzel). */
export function amplitude(samples, hertz, rate = RATE) {
  const coefficient = 2 * Math.cos((2 * Math.PI * hertz) / rate);
  let [last, before] = [0, 0];
  for (const sample of samples) [last, before] = [sample + coefficient * last - before, last];
  const power = last ** 2 + before ** 2 - coefficient * last * before;
  return (2 * Math.sqrt(Math.max(power, 0))) / samples.length;
}
