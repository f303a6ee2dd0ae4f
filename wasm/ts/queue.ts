// What came in and waits for somebody to take it.
import { Waiters } from "./waiting.js";

/** Things that wait, each for one taker. */
export class Queue<T> {
  #items: T[] = [];
  #closed = false;
  #takers = 0;
  readonly #waiters = new Waiters();

  /** At most `limit` wait; `isOver` says which of them nobody needs to take any more. */
  constructor(
    private readonly isOver: (item: T) => boolean,
    private readonly limit = 1_024,
  ) {}

  /** Whether somebody takes, or waits to. */
  get isTaken(): boolean {
    return this.#takers > 0;
  }

  /** Adds one; beyond the limit it is lost. */
  push(item: T): void {
    if (this.#items.length >= this.limit) this.#items = this.#items.filter((each) => !this.isOver(each));
    if (this.#closed || this.#items.length >= this.limit) return;
    this.#items.push(item);
    this.#waiters.look();
  }

  /** No more will come. What waits can still be taken. */
  end(): void {
    this.#closed = true;
    this.#waiters.look();
  }

  /** No more will come, and what waits is dropped. */
  close(): void {
    this.#items = [];
    this.end();
  }

  /** What waits and what will come, until the queue has ended; `left` is called when the taker leaves. */
  items(left?: () => void): AsyncIterableIterator<T> {
    this.#takers += 1;
    let isTaking = true;
    const end = (): IteratorResult<T> => {
      if (isTaking) {
        isTaking = false;
        this.#takers -= 1;
        left?.();
        // A `next` of this taker that still waits is done.
        this.#waiters.look();
      }
      return { done: true, value: undefined };
    };
    return {
      next: async () => {
        const item = await this.#waiters.until(() => (isTaking ? this.#next() : CLOSED));
        return item === CLOSED ? end() : { done: false, value: item as T };
      },
      return: async () => end(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #next(): T | typeof CLOSED | undefined {
    for (;;) {
      const item = this.#items.shift();
      if (item === undefined) return this.#closed ? CLOSED : undefined;
      if (!this.isOver(item)) return item;
    }
  }
}

/** There is no next one. */
const CLOSED = Symbol("closed");
