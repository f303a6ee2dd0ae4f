// Tones, and what a piece of sound holds.
import assert from "node:assert/strict";

/** A tone of `seconds` at `rate` samples a second. */
export function tone(hertz, amplitude, seconds, rate = 8_000) {
  const step = (2 * Math.PI * hertz) / rate;
  return Int16Array.from({ length: seconds * rate }, (_, i) => amplitude * Math.sin(i * step));
}

/** The amplitude of one frequency in samples (Goertzel). */
function amplitude(samples, hertz, rate = 8_000) {
  const coefficient = 2 * Math.cos((2 * Math.PI * hertz) / rate);
  let [last, before] = [0, 0];
  for (const sample of samples) [last, before] = [sample + coefficient * last - before, last];
  const power = last ** 2 + before ** 2 - coefficient * last * before;
  return (2 * Math.sqrt(Math.max(power, 0))) / samples.length;
}

/** The samples from the first to the last that is louder than `floor`. */
function sounding(samples, floor = 500) {
  const loud = (sample) => Math.abs(sample) > floor;
  return samples.subarray(samples.findIndex(loud), samples.findLastIndex(loud) + 1);
}

/** In how many of the 20 ms of samples a frequency is weaker than `least`: gaps and wrong tones. */
function gaps(samples, hertz, least, rate = 8_000) {
  const frame = rate / 50;
  let count = 0;
  for (let at = 0; at + frame <= samples.length; at += frame) {
    if (amplitude(samples.subarray(at, at + frame), hertz, rate) < least) count += 1;
  }
  return count;
}

/**
 * Checks that samples hold a tone of `seconds` at its level and without gaps, but for `skipped`
 * frames: a host that is late skips, and counts, what it was late for.
 */
export function assertTone(samples, hertz, level, seconds, skipped) {
  const sound = sounding(samples);
  const missing = Math.abs(seconds * 8_000 - sound.length);
  const what = `${hertz} Hz: ${sound.length} samples, ${skipped} frames skipped`;
  // The jitter buffer stretches and shrinks sound while it adapts.
  assert.ok(missing <= 800 + 160 * skipped, what);
  assert.ok(gaps(sound, hertz, 0.7 * level) <= 2 * skipped, `${what}, with gaps`);
  if (skipped > 0) return;
  const found = amplitude(sound, hertz);
  assert.ok(Math.abs(found - level) < 0.1 * level, `${what}, at ${found} instead of ${level}`);
}

/** Keeps what a call hears until it is over; resolves with the samples. */
export async function record(call, rate = 8_000) {
  const heard = [];
  const timer = setInterval(() => heard.push(call.readAudio(rate)), 50);
  await call.ended();
  clearInterval(timer);
  return Int16Array.from(heard.flatMap((samples) => [...samples]));
}
