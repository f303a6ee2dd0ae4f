// What the sound of a call needs of the rest of it.
import type { Glue } from "../driver.js";
import type { OffhookError } from "../errors.js";
import type { CallEvent } from "../events.js";
import type { Host } from "../host.js";
import type { CallState } from "../offhook_wasm.js";
import type { Topic } from "../topic.js";

/** The part of the machine that carries sound. Rates are samples a second, times seconds. */
export interface SoundMachine {
  writeAudio(call: number, rate: number, samples: Int16Array): number;
  readAudio(call: number, rate: number, out: Int16Array): number;
  available(call: number, rate: number): number;
  queued(call: number): number;
  played(call: number): number;
  flushAudio(call: number): number;
  mark(call: number, name: string): boolean;
  rate(call: number): number;
  setTap(call: number, on: boolean): boolean;
  tapRate(call: number): number | undefined;
  takeTap(call: number): Int16Array;
}

/** The part of a driver that sound runs on. */
export interface SoundDriver {
  look<T>(ask: (machine: SoundMachine) => T): T;
  act<T>(command: (machine: SoundMachine) => T): T;
  /** Calls `look` after events were handed out and before it is asked when to come back. */
  afterSettle(look: () => void): () => void;
  /** The time in microseconds. */
  now(): number;
  readonly host?: Pick<Host, "load" | "create">;
  readonly glue: Glue;
}

/** The part of a call's course that sound follows. */
export interface SoundCourse {
  readonly state: CallState;
  over(): OffhookError;
  until<T>(find: () => T | undefined, signal?: AbortSignal): Promise<T>;
  readonly topic: Pick<Topic<CallEvent>, "on">;
}

/** A call, as its sound sees it. */
export interface SoundSeat {
  readonly driver: SoundDriver;
  /** The machine's number of the call. */
  readonly id: number;
  readonly course: SoundCourse;
}
