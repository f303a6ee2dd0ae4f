// What was heard on a call that is over, and not read yet.
import type { Glue } from "../driver.js";

/** The last of a call: a second at most. */
export class Unread {
  constructor(
    private rate: number,
    private samples: Int16Array,
    private readonly glue: Glue,
  ) {}

  /** Takes samples, `count` at most. */
  take(rate: number, count = Infinity): Int16Array {
    if (rate !== this.rate) this.#convert(rate);
    const taken = this.samples.slice(0, Math.min(count, this.samples.length));
    this.samples = this.samples.subarray(taken.length);
    return taken;
  }

  #convert(rate: number): void {
    this.samples = this.glue.resample(this.samples, this.rate, rate);
    this.rate = rate;
  }
}
