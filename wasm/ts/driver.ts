// What phones, their calls and their sound run on.
import type { Bound, Host } from "./host.js";
import type { Machine, MachineEvent, Wav } from "./offhook_wasm.js";

/**
 * A machine and whatever drives it: a host (`host_driver.ts`) or the simulation. One carries the accounts
 * that share its sockets, each a line of its own.
 */
export interface Driver {
  /** Asks the machine something, or gives it a command whose consequences wait for `settle`. Throws an `OffhookError`. */
  look<T>(ask: (machine: Machine) => T): T;
  /**
   * Gives the machine a command, and does what follows from it before it returns: packets leave, events are
   * handed out (where it is a listener that commands, after this listener). Throws an `OffhookError`.
   */
  act<T>(command: (machine: Machine) => T): T;
  /** Does what is due, and hands out what comes of it. */
  settle(): void;
  /** Opens what a line needs: the first opens the host. Rejects with an `OffhookError`. */
  open(line: number): Promise<void>;
  /** A line needs nothing any more: the last closes the host. */
  close(line: number): Promise<void>;
  /** Where the host listens. */
  readonly listening: Bound["listening"];
  /** The network has changed: every line registers anew. */
  networkChanged(): void;
  /** Hands out a line's events. Returns what ends that. */
  subscribe(line: number, listener: (event: MachineEvent) => void): () => void;
  /** Calls `look` whenever time has passed or something has come, for those who wait for sound. Returns what ends that. */
  afterSettle(look: () => void): () => void;
  /** The time in microseconds, on a clock that never goes back. */
  now(): number;
  /** Where files are read and made. */
  readonly host?: Pick<Host, "load" | "create">;
  /** What there is beside the machine in its module. */
  readonly glue: Glue;
}

/** Functions of a WebAssembly module. */
export interface Glue {
  /** The sound of a WAV file; throws what is wrong with it. */
  readWav(file: Uint8Array): Wav;
  /** Converts a piece of sound from a rate to another. */
  resample(samples: Int16Array, from: number, to: number): Int16Array;
}
