// The messages of a WebSocket (RFC 6455 §5.4 to §5.6), of a client: put together from frames, pings
// answered, and the end said.
import { isUtf8 } from "node:buffer";
import type { Framing } from "../connection.js";
import { CloseCode, encode, FrameError, FrameReader, Opcode, type Frame } from "./frame.js";

/** The longest message. */
const LARGEST = 64 * 1024;

/** The framing of a WebSocket that was opened. */
export class WebSocketFraming implements Framing {
  readonly #reader = new FrameReader(LARGEST);
  /** The message of which some frames have come. */
  #partial: { readonly opcode: number; readonly pieces: Buffer[]; length: number } | undefined;
  /** Whether the end was said. */
  #closing = false;

  /** RFC 7118 §5: text where it is UTF-8, as most messages are. */
  encode(message: Uint8Array): Buffer {
    return encode(isUtf8(message) ? Opcode.TEXT : Opcode.BINARY, message);
  }

  decode(chunk: Buffer, message: (bytes: Buffer) => void, reply: (bytes: Buffer) => void): boolean {
    try {
      for (const frame of this.#reader.read(chunk)) {
        if (!this.#take(frame, message, reply)) return false;
      }
      return true;
    } catch (error) {
      const code = error instanceof FrameError ? error.code : CloseCode.PROTOCOL_ERROR;
      this.#say(code, reply);
      return false;
    }
  }

  ping(): Buffer {
    return encode(Opcode.PING, Buffer.alloc(0));
  }

  farewell(): Buffer | undefined {
    let last: Buffer | undefined;
    this.#say(CloseCode.NORMAL, (bytes) => (last = bytes));
    return last;
  }

  /** False when there is nothing more to read. */
  #take(frame: Frame, message: (bytes: Buffer) => void, reply: (bytes: Buffer) => void): boolean {
    const { opcode, payload } = frame;
    switch (opcode) {
      case Opcode.PING:
        if (!this.#closing) reply(encode(Opcode.PONG, payload));
        return true;
      case Opcode.PONG:
        return true;
      case Opcode.CLOSE:
        this.#say(closeCode(payload), reply);
        return false;
      default: {
        const whole = this.#join(frame);
        if (whole) message(whole);
        return true;
      }
    }
  }

  /** Adds a frame to its message, and gives that when it is whole. */
  #join({ opcode, final, payload }: Frame): Buffer | undefined {
    const goesOn = opcode === Opcode.CONTINUATION;
    if (goesOn !== (this.#partial !== undefined)) {
      throw new FrameError(CloseCode.PROTOCOL_ERROR, "frames of two messages are mixed");
    }
    const partial = (this.#partial ??= { opcode, pieces: [], length: 0 });
    // Pieces of nothing would be kept without end.
    if (payload.length > 0) partial.pieces.push(payload);
    partial.length += payload.length;
    if (partial.length > LARGEST) throw new FrameError(CloseCode.TOO_BIG, "a message is too long");
    if (!final) return undefined;
    this.#partial = undefined;
    const whole = partial.pieces.length === 1 ? partial.pieces[0]! : Buffer.concat(partial.pieces);
    if (partial.opcode === Opcode.TEXT && !isUtf8(whole)) {
      throw new FrameError(CloseCode.INVALID_DATA, "text that is not UTF-8");
    }
    return whole;
  }

  /** Says once that this is the end (RFC 6455 §5.5.1). */
  #say(code: number, reply: (bytes: Buffer) => void): void {
    if (this.#closing) return;
    this.#closing = true;
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    reply(encode(Opcode.CLOSE, payload));
  }
}

/** The code that answers a close frame: its own, if that is one (RFC 6455 §7.4). */
function closeCode(payload: Buffer): number {
  if (payload.length === 0) return CloseCode.NORMAL;
  const code = payload.length >= 2 ? payload.readUInt16BE(0) : 0;
  const isKnown = (code >= 1_000 && code <= 1_014 && ![1_004, 1_005, 1_006].includes(code)) ||
    (code >= 3_000 && code <= 4_999);
  return isKnown && isUtf8(payload.subarray(2)) ? code : CloseCode.PROTOCOL_ERROR;
}
