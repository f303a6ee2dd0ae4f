/**
 * The media machine of one call, alone, for a worker or an AudioWorklet. Times are microseconds: `now` on a
 * clock that never goes back, `wall` since 1970. After each `handle...` take what waits, and come back at
 * `nextDeadline`.
 */
export class MediaMachine {
  /** Of `dist/media.wasm`, compiled, and 16 bytes from `crypto.getRandomValues`. */
  constructor(module: WebAssembly.Module, key: Uint8Array);

  /** Does what signalling tells, in its byte form. */
  handleControl(now: number, bytes: Uint8Array): void;
  /** Takes packets that came, one after the other, each with its head: where from, and on which pair. */
  handlePackets(now: number, packets: Uint8Array): void;
  /** Carries out what is due. */
  handleDeadline(now: number, wall: number): void;
  /** When to call `handleDeadline`; `Infinity` when nothing is waited for. */
  readonly nextDeadline: number;

  /** Takes the packets to send, each with its head: where to, and from which pair. */
  takePackets(): Uint8Array;
  /** Takes the events, each in its byte form. */
  takeEvents(): Uint8Array[];

  /** Queues samples, `rate` a second, to be sent; returns how many were taken. */
  writeAudio(rate: number, samples: Int16Array): number;
  /** Fills `out` with what was heard; returns how many samples there were. */
  readAudio(rate: number, out: Int16Array): number;
  /** How many samples `readAudio` has at that rate. */
  available(rate: number): number;
  /** How many seconds of written audio wait to be sent. */
  readonly queued: number;
  /** Drops the written audio that waits. */
  flushAudio(): void;
  /** Sets a mark after what was written; an event brings it back. False when too many wait. */
  mark(name: string): boolean;
  /** Sends digits: 0 to 9, *, #, A to D. False when they cannot be sent. */
  sendDtmf(digits: string): boolean;
}
