// Tones, and whether a call carries them.
import assert from "node:assert/strict";

const RATE = 8_000;
const FRAME = RATE / 50;
const SECONDS = 1;
const LEVEL = 8_000;
const ATTEMPTS = 5;

/**
 * Checks that a tone that `speaker` plays is heard by `listener` at its frequency and level, of its
 * length and without gaps. On a loaded machine a host is late and skips what it was late for, so
 * one clean time of a few is enough.
 */
export async function assertHears(listener, speaker, hertz, rate = RATE) {
  let problem;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    listener.readAudio(RATE);
    const heard = [];
    const timer = setInterval(() => heard.push(...listener.readAudio(RATE)), 50);
    // Silence at the end, so that all of the tone was heard when the last sample has left.
    await speaker.play(rate, tone(hertz, rate, SECONDS, 1));
    clearInterval(timer);
    problem = spoilt(Int16Array.from(heard), hertz);
    if (!problem) return;
  }
  assert.fail(problem);
}

/** A tone at `rate` samples a second, and silence after it. */
function tone(hertz, rate, seconds, silence) {
  const samples = new Int16Array(rate * (seconds + silence));
  const step = (2 * Math.PI * hertz) / rate;
  for (let i = 0; i < rate * seconds; i += 1) samples[i] = LEVEL * Math.sin(i * step);
  return samples;
}

/** What is wrong with a tone that was heard. */
function spoilt(samples, hertz) {
  const loud = (sample) => Math.abs(sample) > LEVEL / 10;
  const sound = samples.subarray(samples.findIndex(loud), samples.findLastIndex(loud) + 1);
  if (Math.abs(sound.length - SECONDS * RATE) > 2 * FRAME) return `${sound.length} samples heard`;
  const level = amplitude(sound, hertz);
  if (Math.abs(level - LEVEL) > LEVEL / 10) return `${hertz} Hz at ${level} instead of ${LEVEL}`;
  for (let at = 0; at + FRAME <= sound.length; at += FRAME) {
    const least = amplitude(sound.subarray(at, at + FRAME), hertz);
    if (least < 0.7 * LEVEL) return `${hertz} Hz fell to ${least} at sample ${at}`;
  }
  return undefined;
}

/** The amplitude of one frequency in samples (Goertzel). */
function amplitude(samples, hertz) {
  const coefficient = 2 * Math.cos((2 * Math.PI * hertz) / RATE);
  let [last, before] = [0, 0];
  for (const sample of samples) [last, before] = [sample + coefficient * last - before, last];
  const power = last ** 2 + before ** 2 - coefficient * last * before;
  return (2 * Math.sqrt(Math.max(power, 0))) / samples.length;
}
