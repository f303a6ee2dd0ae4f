// Waiting until something holds.

/** Those who wait for something. What may have changed it calls {@link look}. */
export class Waiters {
  readonly #looks = new Set<() => void>();

  /** How many wait. */
  get size(): number {
    return this.#looks.size;
  }

  /**
   * Resolves with what `find` returns once that is not `undefined`: it is asked now and at each look.
   * Rejects with what `find` throws, or with `signal.reason` when the signal is aborted first.
   */
  until<T>(find: () => T | undefined, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#looks.delete(look);
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => {
        end();
        reject(signal?.reason);
      };
      const look = () => {
        try {
          const found = find();
          if (found === undefined) return;
          end();
          resolve(found);
        } catch (error) {
          end();
          reject(error);
        }
      };
      if (signal?.aborted) {
        abort();
        return;
      }
      signal?.addEventListener("abort", abort);
      this.#looks.add(look);
      look();
    });
  }

  /** Asks for everybody who waits whether it holds now. */
  look(): void {
    for (const look of this.#looks) look();
  }
}

/** What everything that waits can be given. */
export interface WaitOptions {
  /**
   * Ends the waiting: the promise rejects with the signal's reason. What was asked for goes on, but for
   * `start` and `play`, which are given up.
   */
  readonly signal?: AbortSignal;
}
