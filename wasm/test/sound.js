// Tones, and what a piece of sound holds.

/** A tone of `seconds` at `rate` samples a second. */
export function tone(hertz, amplitude, seconds, rate = 8_000) {
  const step = (2 * Math.PI * hertz) / rate;
  return Int16Array.from({ length: seconds * rate }, (_, i) => amplitude * Math.sin(i * step));
}

/** The amplitude of one frequency in samples (Goertzel). */
export function amplitude(samples, hertz, rate = 8_000) {
  const coefficient = 2 * Math.cos((2 * Math.PI * hertz) / rate);
  let [last, before] = [0, 0];
  for (const sample of samples) [last, before] = [sample + coefficient * last - before, last];
  const power = last ** 2 + before ** 2 - coefficient * last * before;
  return (2 * Math.sqrt(Math.max(power, 0))) / samples.length;
}

/** The samples from the first to the last that is louder than `floor`. */
export function sounding(samples, floor = 500) {
  const loud = (sample) => Math.abs(sample) > floor;
  return samples.subarray(samples.findIndex(loud), samples.findLastIndex(loud) + 1);
}

/** The lowest amplitude of a frequency in any 20 ms of samples: a gap or a wrong tone shows. */
export function weakest(samples, hertz, rate = 8_000) {
  const frame = rate / 50;
  let least = Infinity;
  for (let at = 0; at + frame <= samples.length; at += frame) {
    least = Math.min(least, amplitude(samples.subarray(at, at + frame), hertz, rate));
  }
  return least;
}

/** Keeps what a call hears until it is over; resolves with the samples. */
export async function record(call, rate = 8_000) {
  const heard = [];
  const timer = setInterval(() => heard.push(call.readAudio(rate)), 50);
  await call.ended();
  clearInterval(timer);
  return Int16Array.from(heard.flatMap((samples) => [...samples]));
}
