// A connection for signalling: messages out, which wait within a bound, and what comes in.
import type { Socket } from "node:net";
import type { Address } from "../host.js";

/** How messages stand on a connection. */
export interface Framing {
  /** A message as it is written. */
  encode(message: Uint8Array): Buffer;
  /** Takes bytes that came: passes on messages, and what is to be written at once. False when it is over. */
  decode(chunk: Buffer, message: (bytes: Buffer) => void, reply: (bytes: Buffer) => void): boolean;
  /** What asks the peer for a sign of life, where that is for the host to do (RFC 7118 §6). */
  ping(): Buffer | undefined;
  /** What is written last. */
  farewell(): Buffer | undefined;
}

/** One message after another, with nothing between them: TCP and TLS. */
export class StreamFraming implements Framing {
  encode(message: Uint8Array): Buffer {
    // A copy: it leaves when the telephone's memory holds something else.
    return Buffer.from(message);
  }

  decode(chunk: Buffer, message: (bytes: Buffer) => void): boolean {
    message(chunk);
    return true;
  }

  ping(): undefined {}

  farewell(): undefined {}
}

/** What becomes of a connection. */
export interface ConnectionListener {
  /** The next bytes of a stream, or a message. */
  came(bytes: Uint8Array): void;
  /** It is over, and not because it was closed from here. */
  lost(): void;
}

/** An open connection. */
export class Connection {
  /** How many bytes may wait for the peer. */
  static readonly QUEUE = 1024 * 1024;
  /** How often it is looked after, in milliseconds; the following are counted in these. */
  static readonly TICK_MS = 10_000;
  /** For how long a peer may take nothing of what waits for it. */
  static readonly STALL_TICKS = 3;
  /** After how long without anything to send a WebSocket peer is asked for a sign of life. */
  static readonly PING_TICKS = 3;
  /** How long one may be without any. */
  static readonly SILENCE_TICKS = 9;
  /**
   * How long a connection that we have closed may still bring something, which is not looked at. Closed at
   * once with something unread, it would be reset, and what was sent last lost.
   */
  static readonly LINGER_MS = 2_000;

  readonly peer: Address;
  /** Resolves when its socket is closed. */
  readonly closed: Promise<void>;
  #listener: ConnectionListener | undefined;
  #untaken = 0;
  #quiet = 0;
  #silent = 0;
  #linger: NodeJS.Timeout | undefined;
  readonly #ticking: NodeJS.Timeout;

  constructor(
    private readonly socket: Socket,
    private readonly framing: Framing,
    listener: ConnectionListener,
  ) {
    this.peer = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    this.#listener = listener;
    this.#ticking = setInterval(() => this.#tick(), Connection.TICK_MS).unref();
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    // What is wrong, `close` tells.
    socket.on("error", () => {}).on("close", () => this.#over());
  }

  /** Begins to read; `early` has come already. */
  read(early?: Buffer): void {
    this.socket.on("end", () => this.#over()).on("data", (chunk: Buffer) => this.#take(chunk));
    if (early && early.length > 0) this.#take(early);
    // A connection that is over has been told so only by `close`, which may have come before.
    if (this.socket.destroyed) this.#over();
    this.socket.resume();
  }

  /** Sends a message. False when the peer takes too little: the connection is closed then. */
  send(message: Uint8Array): boolean {
    if (!this.#listener) return true;
    this.#quiet = 0;
    this.#write(this.framing.encode(message));
    if (this.socket.writableLength <= Connection.QUEUE) return true;
    this.abort();
    return false;
  }

  /** Closes it: what was sent leaves first. */
  close(): void {
    if (!this.#listener) return;
    this.#listener = undefined;
    const last = this.framing.farewell();
    if (last) this.socket.write(last);
    this.socket.end(() => {
      this.#linger = setTimeout(() => this.abort(), Connection.LINGER_MS);
    });
    this.socket.resume();
  }

  /** Ends it at once. */
  abort(): void {
    this.#listener = undefined;
    this.#rest();
    this.socket.destroy();
  }

  #write(bytes: Buffer): void {
    this.socket.write(bytes, () => (this.#untaken = 0));
  }

  #take(chunk: Buffer): void {
    this.#silent = 0;
    // What comes on a connection that was closed from here is no news.
    if (!this.#listener) return;
    const message = (bytes: Buffer) => this.#listener?.came(bytes);
    if (!this.framing.decode(chunk, message, (bytes) => this.#write(bytes))) this.#over();
  }

  /** It has ended, by the peer or by what the peer has sent. */
  #over(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#rest();
    if (!this.socket.destroyed) this.socket.destroySoon();
    listener?.lost();
  }

  #tick(): void {
    this.#untaken = this.socket.writableLength > 0 ? this.#untaken + 1 : 0;
    this.#quiet += 1;
    this.#silent += 1;
    const ping = this.#quiet >= Connection.PING_TICKS ? this.framing.ping() : undefined;
    const isStalled = this.#untaken > Connection.STALL_TICKS;
    const isSilent = ping !== undefined && this.#silent >= Connection.SILENCE_TICKS;
    if (isStalled || isSilent) {
      this.socket.destroy();
      return;
    }
    if (ping && this.#listener) {
      this.#quiet = 0;
      this.#write(ping);
    }
  }

  #rest(): void {
    clearInterval(this.#ticking);
    clearTimeout(this.#linger);
  }
}
