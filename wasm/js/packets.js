// Packets as the machine leaves them in its memory; wasm/src/outbox.rs draws the layout.
const HEAD = 28;

/** The packets in a DataView of the outbox. `bytes` are a view, good until the machine goes on. */
export function* packets(view) {
  for (let at = 0; at < view.byteLength; ) {
    const size = view.getUint32(at, true);
    yield {
      socket: view.getUint32(at + 4, true),
      lane: view.getUint8(at + 8),
      address: view.getUint8(at + 9) === 4 ? ipv4(view, at + 12) : ipv6(view, at + 12),
      port: view.getUint16(at + 10, true),
      bytes: new Uint8Array(view.buffer, view.byteOffset + at + HEAD, size),
    };
    at += HEAD + size;
  }
}

const ipv4 = (view, at) =>
  `${view.getUint8(at)}.${view.getUint8(at + 1)}.${view.getUint8(at + 2)}.${view.getUint8(at + 3)}`;

const ipv6 = (view, at) =>
  Array.from({ length: 8 }, (_, i) => view.getUint16(at + 2 * i).toString(16)).join(":");
