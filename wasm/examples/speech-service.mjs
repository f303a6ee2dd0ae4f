// A speech service for `bot.mjs` that understands nothing: it says what it hears, and hangs up at the key 0. A
// WebSocket server (RFC 6455) of what that needs.
//
//   node wasm/examples/speech-service.mjs 8765
import { createHash } from "node:crypto";
import { createServer } from "node:http";

const [TEXT, BINARY, CLOSE] = [1, 2, 8];
/** What no message of a call comes near. */
const LONGEST = 65_536;

const server = createServer((request, response) => response.writeHead(426).end());
server.on("upgrade", ({ headers }, socket) => {
  const key = `${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: media\r\n\r\n`,
  );
  let buffered = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    buffered = Buffer.concat([buffered, bytes]);
    for (let frame; (frame = first(buffered)); ) {
      buffered = buffered.subarray(frame.end);
      hear(socket, frame);
    }
    if (buffered.length > LONGEST) socket.destroy();
  });
  socket.on("error", () => socket.destroy());
});
server.listen(Number(process.argv[2] ?? 8765), "127.0.0.1", () => {
  console.log(`listening on ws://127.0.0.1:${server.address().port}`);
});

function hear(socket, { kind, payload }) {
  if (kind === CLOSE) socket.end(framed(CLOSE, payload));
  else if (kind === BINARY) socket.write(framed(BINARY, payload));
  else if (kind === TEXT) {
    const { event, digit } = JSON.parse(payload);
    console.log(event, digit ?? "");
    if (digit === "0") socket.write(framed(TEXT, Buffer.from('{"command":"HANGUP"}')));
  }
}

/** The first frame of a client, whose payload is masked (§5.3); `undefined` until it is whole. */
function first(bytes) {
  if (bytes.length < 6) return undefined;
  const short = bytes[1] & 127;
  const head = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < head + 4) return undefined;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const end = head + 4 + length;
  if (bytes.length < end) return undefined;
  const mask = bytes.subarray(head, head + 4);
  const payload = Buffer.from(bytes.subarray(head + 4, end).map((byte, i) => byte ^ mask[i % 4]));
  return { kind: bytes[0] & 15, payload, end };
}

/** A frame of a server, which is not masked. */
function framed(kind, payload) {
  const length = payload.length;
  const head = length < 126 ? [128 | kind, length] : [128 | kind, 126, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), payload]);
}
