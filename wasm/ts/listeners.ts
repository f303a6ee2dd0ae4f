// Who receives what a machine reports.
import type { MachineEvent } from "./offhook_wasm.js";

/** The lines of a driver, and those who wait for sound. */
export class Listeners {
  readonly #lines = new Map<number, (event: MachineEvent) => void>();
  readonly #looks = new Set<() => void>();
  #isEmitting = false;

  /** Hands out a line's events. Returns what ends that. */
  subscribe(line: number, listener: (event: MachineEvent) => void): () => void {
    this.#lines.set(line, listener);
    return () => this.#lines.delete(line);
  }

  /** Calls `look` at each {@link look}. Returns what ends that. */
  afterSettle(look: () => void): () => void {
    this.#looks.add(look);
    return () => this.#looks.delete(look);
  }

  /** Hands out events one after the other, also those that listeners bring about. Whether there was one. */
  emit(next: () => MachineEvent | undefined): boolean {
    if (this.#isEmitting) return false;
    this.#isEmitting = true;
    let hasEmitted = false;
    try {
      for (let event; (event = next()); hasEmitted = true) this.#lines.get(event.line)?.(event);
    } finally {
      this.#isEmitting = false;
    }
    return hasEmitted;
  }

  /** Lets those look who wait. Whether anybody did. */
  look(): boolean {
    const isWaiting = this.#looks.size > 0;
    for (const look of this.#looks) look();
    return isWaiting;
  }
}
