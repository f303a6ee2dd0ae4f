// The media machine of one call, alone: `media.wasm` as an object. For a worker or an AudioWorklet, so it
// uses nothing but WebAssembly and the language: no TextDecoder, no fetch, no glue.
//
// Everything that crosses is a value that can be posted: controls and events in the byte form of
// `core/src/media/bytes.rs`, packets as `src/outbox.rs` lays them out, 16-bit samples.

// What wasm-bindgen imports into every module. No reference to JavaScript is kept in this one, so there
// is nothing to do.
const IMPORTS = { "./offhook_wasm_bg.js": { __wbindgen_init_externref_table() {} } };

/** How long the head of a packet is. */
const HEAD = 28;

/** What the module exports. */
interface Exports {
  memory: WebAssembly.Memory;
  inputAt(length: number): number;
  outputAt(): number;
  samplesAt(count: number): number;
  packetsAt(): number;
  packetsLength(): number;
  packetsTaken(): void;
  seed(): void;
  handleControl(now: number, length: number): number;
  handlePacket(now: number, length: number): number;
  handleDeadline(now: number, wall: number): void;
  nextDeadline(): number;
  nextEvent(): number;
  writeAudio(rate: number): number;
  readAudio(rate: number): number;
  available(rate: number): number;
  queued(): number;
  flushAudio(): void;
  mark(length: number): number;
  sendDtmf(length: number): number;
}

/**
 * The media machine of one call, alone, for a worker or an AudioWorklet. Times are microseconds: `now` on a
 * clock that never goes back, `wall` since 1970. After each `handle...` take what waits, and come back at
 * `nextDeadline`.
 */
export class MediaMachine {
  readonly #wasm: Exports;

  /** Of `offhook/media.wasm`, compiled, and 16 bytes from `crypto.getRandomValues`. */
  constructor(module: WebAssembly.Module, key: Uint8Array) {
    const instance = new WebAssembly.Instance(module, IMPORTS);
    this.#wasm = instance.exports as unknown as Exports;
    this.#hand(key);
    this.#wasm.seed();
  }

  /** Does what signalling tells, in its byte form. */
  handleControl(now: number, bytes: Uint8Array): void {
    this.#hand(bytes);
    if (!this.#wasm.handleControl(now, bytes.length)) throw new Error("these bytes are no control");
  }

  /** Takes packets that came, one after the other, each with its head: where from, and on which pair. */
  handlePackets(now: number, packets: Uint8Array): void {
    const view = new DataView(packets.buffer, packets.byteOffset, packets.byteLength);
    for (let at = 0; at + HEAD <= packets.length; ) {
      const end = at + HEAD + view.getUint32(at, true);
      const packet = packets.subarray(at, end);
      this.#hand(packet);
      if (!this.#wasm.handlePacket(now, packet.length)) throw new Error("these bytes are no packet");
      at = end;
    }
  }

  /** Carries out what is due. */
  handleDeadline(now: number, wall: number): void {
    this.#wasm.handleDeadline(now, wall);
  }

  /** When to call `handleDeadline`; `Infinity` when nothing is waited for. */
  get nextDeadline(): number {
    return this.#wasm.nextDeadline();
  }

  /** Takes the packets to send, one after the other, each with its head: where to, and from which pair. */
  takePackets(): Uint8Array {
    const packets = this.#bytes(this.#wasm.packetsAt(), this.#wasm.packetsLength()).slice();
    this.#wasm.packetsTaken();
    return packets;
  }

  /** Takes the events, each in its byte form. */
  takeEvents(): Uint8Array[] {
    const events: Uint8Array[] = [];
    for (let length = this.#wasm.nextEvent(); length > 0; length = this.#wasm.nextEvent()) {
      events.push(this.#bytes(this.#wasm.outputAt(), length).slice());
    }
    return events;
  }

  /** Queues samples, `rate` a second, to be sent; returns how many were taken. */
  writeAudio(rate: number, samples: Int16Array): number {
    this.#samples(samples.length).set(samples);
    return this.#wasm.writeAudio(rate);
  }

  /** Fills `out` with what was heard; returns how many samples there were. */
  readAudio(rate: number, out: Int16Array): number {
    this.#samples(out.length);
    const count = this.#wasm.readAudio(rate);
    out.set(this.#samples(out.length).subarray(0, count));
    return count;
  }

  /** How many samples `readAudio` has at that rate. */
  available(rate: number): number {
    return this.#wasm.available(rate);
  }

  /** How many seconds of written audio wait to be sent. */
  get queued(): number {
    return this.#wasm.queued() / 1e6;
  }

  /** Drops the written audio that waits. */
  flushAudio(): void {
    this.#wasm.flushAudio();
  }

  /** Sets a mark after what was written; an event brings it back. False when too many wait. */
  mark(name: string): boolean {
    const bytes = utf8(name);
    this.#hand(bytes);
    return this.#wasm.mark(bytes.length) !== 0;
  }

  /** Sends digits: 0 to 9, *, #, A to D. False when they cannot be sent. */
  sendDtmf(digits: string): boolean {
    const bytes = utf8(digits);
    this.#hand(bytes);
    return this.#wasm.sendDtmf(bytes.length) !== 0;
  }

  #hand(bytes: Uint8Array): void {
    this.#bytes(this.#wasm.inputAt(bytes.length), bytes.length).set(bytes);
  }

  // Memory that grows leaves old views without it, so that each view is made anew.
  #bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#wasm.memory.buffer, at, length);
  }

  #samples(count: number): Int16Array {
    const at = this.#wasm.samplesAt(count);
    return new Int16Array(this.#wasm.memory.buffer, at, count);
  }
}

function utf8(text: string): Uint8Array {
  const bytes = encodeURIComponent(text).match(/%..|[^]/g) ?? [];
  return Uint8Array.from(bytes, (b) => (b.length > 1 ? parseInt(b.slice(1), 16) : b.charCodeAt(0)));
}
