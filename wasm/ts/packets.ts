// Packets as the machine leaves them in its memory; wasm/src/outbox.rs draws the layout.
import type { Lane, Packet } from "./host.js";

const HEAD = 28;
const LANES: readonly Lane[] = ["sip", "rtp", "rtcp"];

/** How many addresses are kept as text. */
const ADDRESSES = 1_024;

/** Hands out packets, each in the same object, whose bytes are a view. */
export class PacketReader {
  readonly #packet = { lane: "sip" as Lane, socket: 0, address: "", port: 0, bytes: new Uint8Array() };
  /** The text of IPv4 addresses, by their number. */
  readonly #addresses = new Map<number, string>();

  /** Gives `send` each packet in the memory from `at` on; none is good for longer than that. */
  read(memory: ArrayBuffer, at: number, length: number, send: (packet: Packet) => void): void {
    const view = new DataView(memory, at, length);
    const packet = this.#packet;
    for (let offset = 0; offset < length; ) {
      const size = view.getUint32(offset, true);
      packet.socket = view.getUint32(offset + 4, true);
      packet.lane = LANES[view.getUint8(offset + 8)] ?? "sip";
      packet.port = view.getUint16(offset + 10, true);
      packet.address = view.getUint8(offset + 9) === 4 ? this.#ipv4(view, offset + 12) : ipv6(view, offset + 12);
      packet.bytes = new Uint8Array(memory, at + offset + HEAD, size);
      send(packet);
      offset += HEAD + size;
    }
  }

  #ipv4(view: DataView, at: number): string {
    const number = view.getUint32(at);
    const known = this.#addresses.get(number);
    if (known !== undefined) return known;
    const text = [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".");
    if (this.#addresses.size >= ADDRESSES) this.#addresses.clear();
    this.#addresses.set(number, text);
    return text;
  }
}

const ipv6 = (view: DataView, at: number): string =>
  Array.from({ length: 8 }, (_, group) => view.getUint16(at + 2 * group).toString(16)).join(":");
