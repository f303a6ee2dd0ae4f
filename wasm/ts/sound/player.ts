// Sound that is sent at the pace at which it is heard.
import type { Sampled16 } from "./samples.js";
import type { SoundSeat } from "./seat.js";

/** How much may wait to be sent, in seconds: little, so that stopping is quick. */
const AHEAD = 0.2;

/** How much is written at once, in parts of a second. */
const PIECES_A_SECOND = 20;

/** Waits until `find` finds something: it is asked now and whenever time has passed. */
export type Until = <T>(find: () => T | undefined, signal?: AbortSignal) => Promise<T>;

/** Plays to a call: those who do at once take turns. */
export class Player {
  /** Resolves when nobody plays. */
  #turn = Promise.resolve();

  constructor(
    private readonly seat: SoundSeat,
    private readonly until: Until,
    private readonly drop: () => void,
  ) {}

  /**
   * Plays samples that are being read; resolves when the last has been sent. What waits is dropped when that does
   * not come about.
   */
  play(sampled: Promise<Sampled16>, signal?: AbortSignal): Promise<void> {
    return this.#inTurn(sampled, signal, async ({ rate, samples }) => {
      await this.#feed(rate, samples, signal);
      await this.#sent(signal);
    });
  }

  /** Writes samples; resolves when the last has been taken. */
  write(sampled: Sampled16, signal?: AbortSignal): Promise<void> {
    const { rate, samples } = sampled;
    return this.#inTurn(undefined, signal, () => this.#feed(rate, samples, signal));
  }

  /** Resolves when nothing waits to be sent. */
  finish(): Promise<void> {
    return this.#inTurn(undefined, undefined, () => this.#sent());
  }

  /** Does some work when those who asked before have done theirs, and what it needs is there. */
  async #inTurn<T>(needed: T | Promise<T>, signal: AbortSignal | undefined, work: (needed: T) => Promise<void>): Promise<void> {
    const before = this.#turn;
    let done!: () => void;
    const mine = new Promise<void>((resolve) => (done = resolve));
    this.#turn = before.then(() => mine);
    try {
      const [found] = await unlessAborted(Promise.all([needed, before]), signal);
      await this.#orDrop(() => work(found));
    } finally {
      done();
    }
  }

  /** What cannot be played to its end is not played any further. */
  async #orDrop(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.drop();
      throw error;
    }
  }

  /** Writes all samples as room comes. */
  #feed(rate: number, samples: Int16Array, signal?: AbortSignal): Promise<void> {
    const { driver, id, course } = this.seat;
    const piece = Math.max(1, Math.floor(rate / PIECES_A_SECOND));
    let at = 0;
    const fed = this.until(() => {
      if (course.state === "ended") throw course.over();
      driver.look((machine) => {
        for (let taken = 1; taken > 0 && at < samples.length && machine.queued(id) < AHEAD; at += taken) {
          taken = machine.writeAudio(id, rate, samples.subarray(at, at + piece));
        }
      });
      return at < samples.length ? undefined : true;
    }, signal);
    // The first of it may be due at once.
    driver.act(() => {});
    return fed.then(() => {});
  }

  async #sent(signal?: AbortSignal): Promise<void> {
    const { driver, id, course } = this.seat;
    await this.until(() => {
      if (course.state === "ended") throw course.over();
      return driver.look((machine) => machine.queued(id)) > 0 ? undefined : true;
    }, signal);
  }
}

/** As `promise`, or rejects with the reason of a signal that is aborted first. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
