// Samples as programs have them.
import { OffhookError } from "../errors.js";

/** Mono samples: 16-bit, or floating point of which -1 to 1 is full scale. */
export type Samples = Int16Array | Float32Array;

/** Samples, `rate` of them a second. */
export interface Sampled {
  readonly rate: number;
  readonly samples: Samples;
}

/** The same as the machine takes them. */
export interface Sampled16 extends Sampled {
  readonly samples: Int16Array;
}

/** The rates that sound is converted from and to, in samples a second. */
const RATES = { lowest: 4_000, highest: 192_000 };

/** Throws `invalid_value` for a rate that sound cannot have. */
export function checkRate(rate: number): void {
  if (Number.isInteger(rate) && rate >= RATES.lowest && rate <= RATES.highest) return;
  const problem = `samples a second are a whole number from ${RATES.lowest} to ${RATES.highest}`;
  throw new OffhookError("invalid_value", `rate ${String(rate)} cannot be used: ${problem}`);
}

/** The most samples that are read at once: 32 MiB of them. */
const MOST = 2 ** 24;

/** Throws `invalid_value` for a number of samples that is none, or for which there is no room. */
export function checkCount(count: number): void {
  if (Number.isInteger(count) && count >= 0 && count <= MOST) return;
  throw new OffhookError("invalid_value", `count ${String(count)} cannot be used: a number of samples is a whole number from 0 to ${MOST}`);
}

/** Samples as the machine takes them. Throws `invalid_value` for anything else. */
export function toInt16(samples: Samples): Int16Array {
  if (samples instanceof Int16Array) return samples;
  if (samples instanceof Float32Array) return Int16Array.from(samples, fromFloat);
  const found = Object.prototype.toString.call(samples).slice(8, -1);
  throw new OffhookError("invalid_value", `samples are an Int16Array or a Float32Array, not of ${found}`);
}

/** As the core converts those of a WAV: what is too loud is clipped, what is no number is silent. */
const fromFloat = (sample: number): number => Math.min(Math.max(sample * 32_768, -32_768), 32_767);
