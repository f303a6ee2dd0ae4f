// Frames of a WebSocket (RFC 6455 §5), as a client writes and reads them: what it sends is masked, what a
// server sends is not.
import { randomFillSync } from "node:crypto";

/** What a frame holds (RFC 6455 §5.2). */
export const Opcode = {
  CONTINUATION: 0,
  TEXT: 1,
  BINARY: 2,
  CLOSE: 8,
  PING: 9,
  PONG: 10,
} as const;

/** Why a connection is closed (RFC 6455 §7.4.1). */
export const CloseCode = {
  NORMAL: 1_000,
  PROTOCOL_ERROR: 1_002,
  INVALID_DATA: 1_007,
  TOO_BIG: 1_009,
} as const;

/** A frame that was read. */
export interface Frame {
  readonly opcode: number;
  /** Whether it is the last of its message. */
  readonly final: boolean;
  readonly payload: Buffer;
}

/** What a server has sent cannot be read. */
export class FrameError extends Error {
  constructor(
    /** The code to close with. */
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

const FINAL = 0x80;
const MASKED = 0x80;
/** The longest payload whose length stands in the second byte; that of every control frame. */
const SHORT = 125;

/** A whole message, or a control frame, masked with a new key (RFC 6455 §5.3). */
export function encode(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const extra = length <= SHORT ? 0 : length <= 0xffff ? 2 : 8;
  const frame = Buffer.allocUnsafe(2 + extra + 4 + length);
  frame[0] = FINAL | opcode;
  frame[1] = MASKED | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) frame.writeUInt16BE(length, 2);
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const at = 2 + extra;
  randomFillSync(frame, at, 4);
  for (let i = 0; i < length; i += 1) frame[at + 4 + i] = payload[i]! ^ frame[at + (i & 3)]!;
  return frame;
}

/** Cuts what comes into frames. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);

  /** `largest` is the longest payload of a frame. */
  constructor(private readonly largest: number) {}

  /** Takes bytes, cut anywhere, and yields the frames that are whole. Throws a {@link FrameError}. */
  *read(chunk: Buffer): Generator<Frame> {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (let frame = this.#next(); frame; frame = this.#next()) yield frame;
  }

  #next(): Frame | undefined {
    const bytes = this.#pending;
    if (bytes.length < 2) return undefined;
    const opcode = bytes[0]! & 0x0f;
    const final = (bytes[0]! & FINAL) !== 0;
    if (bytes[0]! & 0x70) throw wrong("a reserved bit is set, and no extension was agreed");
    if (bytes[1]! & MASKED) throw wrong("a server does not mask");
    if ((opcode > Opcode.BINARY && opcode < Opcode.CLOSE) || opcode > Opcode.PONG) {
      throw wrong(`there is no opcode ${opcode}`);
    }
    const length = this.#length(bytes);
    if (length === undefined) return undefined;
    if (opcode >= Opcode.CLOSE && (!final || length.value > SHORT)) {
      throw wrong("a control frame is in one piece, and short");
    }
    if (length.value > this.largest) {
      throw new FrameError(CloseCode.TOO_BIG, `a frame of ${length.value} bytes`);
    }
    const end = length.end + length.value;
    if (bytes.length < end) return undefined;
    this.#pending = bytes.subarray(end);
    return { opcode, final, payload: bytes.subarray(length.end, end) };
  }

  /** The length of the payload, which is written in as few bytes as it needs, and where the payload begins. */
  #length(bytes: Buffer): { value: number; end: number } | undefined {
    const short = bytes[1]! & 0x7f;
    if (short <= SHORT) return { value: short, end: 2 };
    const end = short === 126 ? 4 : 10;
    if (bytes.length < end) return undefined;
    const value = short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (value <= (short === 126 ? SHORT : 0xffff)) throw wrong("a length is written longer than it is");
    return { value, end };
  }
}

const wrong = (message: string): FrameError => new FrameError(CloseCode.PROTOCOL_ERROR, message);
