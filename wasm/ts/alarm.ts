// The clock of a telephone, and the one timer that wakes it.
import { nextTurn } from "./turn.js";

/** The time, in microseconds on a clock that never goes back. */
export const now = (): number => performance.now() * 1_000;

/** The time of day, in microseconds since 1970. */
export const wall = (): number => Date.now() * 1_000;

/** From when on a wake-up is late, in microseconds: the process stood still. */
const LATE = 5_000;

/** The longest sleep, in milliseconds: a timer of 2^31 ms or more would fire at once. */
const LONGEST = 60_000;

/** Wakes somebody when something is due. */
export class Alarm {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity;

  constructor(private readonly ring: () => void) {}

  /** When to ring, in microseconds; `undefined` for never. It may ring earlier. */
  set(due: number | undefined): void {
    if (due === undefined) this.clear();
    else if (this.#timer === undefined || due < this.#due) this.#sleep(due);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #sleep(due: number): void {
    clearTimeout(this.#timer);
    this.#due = due;
    const delay = Math.ceil((due - now()) / 1_000);
    this.#timer = setTimeout(() => this.#wake(), Math.min(Math.max(delay, 0), LONGEST));
  }

  #wake(): void {
    this.#timer = undefined;
    // After a stall the packets that came meanwhile are heard first: they were not late, we are.
    if (now() - this.#due > LATE) nextTurn(this.ring);
    else this.ring();
  }
}
