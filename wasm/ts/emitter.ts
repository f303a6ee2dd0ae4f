// Listening, as phones and calls offer it.
import { call, type EventOf, type Happening, type Listener, type Topic } from "./topic.js";
import type { WaitOptions } from "./waiting.js";

/** Something that happens to be listened to. `E` is the union of its events. */
export abstract class Emitter<E extends Happening> {
  readonly #topic: Topic<E>;

  /** @internal */
  protected constructor(topic: Topic<E>) {
    this.#topic = topic;
  }

  /** Calls `listener` with each event of a type, in order, at once when it happens. */
  on<T extends E["type"]>(type: T, listener: Listener<EventOf<E, T>>): this {
    this.#topic.on(type, listener);
    for (const event of this.#topic.missed(type)) queueMicrotask(() => call(listener, event));
    return this;
  }

  /** Calls `listener` with the next event of a type. */
  once<T extends E["type"]>(type: T, listener: Listener<EventOf<E, T>>): this;
  /** Resolves with the next event of a type. Never, where it does not come: mind the signal. */
  once<T extends E["type"]>(type: T, options?: WaitOptions): Promise<EventOf<E, T>>;
  once<T extends E["type"]>(
    type: T,
    then?: Listener<EventOf<E, T>> | WaitOptions,
  ): this | Promise<EventOf<E, T>> {
    if (typeof then !== "function") return this.#next(type, then?.signal);
    const [missed] = this.#topic.missed(type);
    if (missed) {
      queueMicrotask(() => call(then, missed));
      return this;
    }
    const listener = (event: EventOf<E, T>) => {
      this.#topic.off(type, listener);
      then(event);
    };
    this.#topic.on(type, listener);
    return this;
  }

  /** Takes a listener of `on` away. */
  off<T extends E["type"]>(type: T, listener: Listener<EventOf<E, T>>): this {
    this.#topic.off(type, listener);
    return this;
  }

  /**
   * Every event from now on, one after the other. When 1,024 wait to be taken, further ones are lost.
   */
  events(): AsyncIterableIterator<E> {
    return this.#topic.events();
  }

  #next<T extends E["type"]>(type: T, signal: AbortSignal | undefined): Promise<EventOf<E, T>> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const [missed] = this.#topic.missed(type);
      if (missed) {
        resolve(missed);
        return;
      }
      const end = () => {
        this.#topic.off(type, listener);
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => {
        end();
        reject(signal?.reason);
      };
      const listener = (event: EventOf<E, T>) => {
        end();
        resolve(event);
      };
      signal?.addEventListener("abort", abort);
      this.#topic.on(type, listener);
    });
  }
}

