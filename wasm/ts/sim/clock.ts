// Virtual time: it passes when somebody lets it, and stands still while anybody has something to do.
import { OffhookError } from "../errors.js";
import { nextTurn } from "../turn.js";

/** What happens in time: the network and all that is on it. */
export interface Events {
  /** Now, in microseconds. */
  now(): number;
  /** When the next thing happens; `Infinity` when nothing does. */
  nextAt(): number;
  /** Lets it happen. True when anybody may want to do something about it. */
  step(): boolean;
  /** Lets time go on to then, before which nothing happens. */
  advance(to: number): void;
}

/** Somebody who sleeps. */
interface Sleeper {
  readonly at: number;
  wake(): void;
}

/** Somebody who waits within a run of somebody else. */
interface Waiting {
  fail(error: unknown): void;
}

/** Lets time pass. */
export class Clock {
  /** In the order in which they wake. */
  #sleepers: Sleeper[] = [];
  /** How many things outside of the simulation are waited for. */
  #outside = 0;
  /** Whether somebody lets time pass. */
  #isRunning = false;
  /** Those who wait meanwhile. */
  readonly #waiting = new Set<Waiting>();

  constructor(private readonly events: Events) {}

  /** Resolves when so many milliseconds have passed. It does not let them pass. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    checkTime(ms);
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => {
        end();
        reject(signal?.reason);
      };
      const wake = () => {
        end();
        resolve();
      };
      const sleeper = { at: this.events.now() + ms * 1_000, wake };
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort);
      const later = this.#sleepers.findIndex(({ at }) => at > sleeper.at);
      this.#sleepers.splice(later < 0 ? this.#sleepers.length : later, 0, sleeper);
    });
  }

  /** Lets so many milliseconds pass. */
  run(ms: number): Promise<void> {
    return this.#pass(this.sleep(ms), Infinity);
  }

  /** Lets time pass until a promise is settled, `limit` milliseconds at most. */
  until<T>(promise: PromiseLike<T>, limit: number): Promise<T> {
    checkTime(limit);
    return this.#pass(promise, limit);
  }

  /** Time stands still until the promise is settled. */
  async outside<T>(promise: PromiseLike<T>): Promise<T> {
    this.#outside += 1;
    try {
      return await promise;
    } finally {
      this.#outside -= 1;
    }
  }

  async #pass<T>(promise: PromiseLike<T>, limit: number): Promise<T> {
    let isSettled = false;
    const settled = Promise.resolve(promise).finally(() => (isSettled = true));
    settled.catch(() => {});
    const end = this.events.now() + limit * 1_000;
    // Within a run it is that one which lets time pass.
    if (this.#isRunning) return this.#within(settled, limit);
    this.#isRunning = true;
    try {
      await this.#drive(() => isSettled, end, limit);
    } finally {
      void this.#finish();
    }
    return settled;
  }

  /** Lets time pass until something is settled. Throws `timeout` when that is not by `end`. */
  async #drive(isSettled: () => boolean, end: number, limit: number): Promise<void> {
    while (!(await this.#settles(isSettled))) {
      if (!this.#goOn(end)) throw this.#missed(limit);
    }
  }

  /** A run is over: lets time pass for those who began to wait within it, until none of them is left. */
  async #finish(): Promise<void> {
    try {
      while (this.#waiting.size > 0) await this.#drive(() => this.#waiting.size === 0, Infinity, Infinity);
    } catch (error) {
      for (const waiting of this.#waiting) waiting.fail(error);
      this.#waiting.clear();
    } finally {
      this.#isRunning = false;
    }
  }

  /** Gives everybody the time to do what they want to do now. Whether the promise is settled then. */
  async #settles(isSettled: () => boolean): Promise<boolean> {
    do {
      await new Promise<void>((resolve) => nextTurn(resolve));
    } while (this.#outside > 0 && !isSettled());
    return isSettled();
  }

  /** Lets happen what is next, until somebody may want to do something about it. False: not before `end`. */
  #goOn(end: number): boolean {
    for (;;) {
      const [sleeper] = this.#sleepers;
      const wakes = sleeper?.at ?? Infinity;
      const next = Math.min(this.events.nextAt(), wakes);
      if (next > end || next === Infinity) {
        if (Number.isFinite(end)) this.events.advance(end);
        return false;
      }
      // What arrives at that very time has arrived when the sleeper wakes.
      if (wakes === next && this.events.nextAt() > next) {
        this.events.advance(wakes);
        sleeper?.wake();
        return true;
      }
      if (this.events.step()) return true;
    }
  }

  async #within<T>(settled: Promise<T>, limit: number): Promise<T> {
    const rest = new AbortController();
    let waiting!: Waiting;
    const failed = new Promise<never>((_, fail) => (waiting = { fail }));
    this.#waiting.add(waiting);
    if (Number.isFinite(limit)) {
      this.sleep(limit, rest.signal).then(() => waiting.fail(this.#missed(limit)), () => {});
    }
    try {
      return await Promise.race([settled, failed]);
    } finally {
      this.#waiting.delete(waiting);
      rest.abort();
    }
  }

  #missed(limit: number): OffhookError {
    const seconds = this.events.now() / 1e6;
    const why = this.events.nextAt() === Infinity ? "nothing more will happen" : `${limit} ms have passed`;
    return new OffhookError("timeout", `what was waited for has not come by ${seconds.toFixed(3)} s: ${why}`);
  }
}

function checkTime(ms: number): void {
  if (ms >= 0) return;
  throw new OffhookError("invalid_value", `time ${String(ms)} cannot be used: it is no number of milliseconds from 0`);
}
