// The WebSocket client: its frames, its handshake, and a server that speaks both ways.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { NodeHost } from "../dist/node/host.js";
import { WebSocketFraming } from "../dist/node/websocket/client.js";
import { encode, FrameReader } from "../dist/node/websocket/frame.js";
import { refusalIn } from "../dist/node/websocket/handshake.js";
import { opened, sip } from "./inlet.js";

const OPTIONS = { timeout: 30_000 };
const LARGEST = 64 * 1024;

/** A frame as a server writes it: not masked. */
function frame(opcode, payload, { final = true } = {}) {
  const bytes = Buffer.from(payload);
  const head = [(final ? 0x80 : 0) | opcode];
  if (bytes.length < 126) head.push(bytes.length);
  else if (bytes.length <= 0xffff) head.push(126, bytes.length >> 8, bytes.length & 255);
  else head.push(127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (bytes.length >> shift) & 255));
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** Reads a client's frame, which has to be masked. */
function unmask(bytes) {
  assert.ok(bytes[1] & 0x80, "it is masked");
  const short = bytes[1] & 0x7f;
  const at = short < 126 ? 2 : short === 126 ? 4 : 10;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const key = bytes.subarray(at, at + 4);
  const payload = bytes.subarray(at + 4, at + 4 + length).map((byte, i) => byte ^ key[i & 3]);
  return { opcode: bytes[0] & 15, final: bytes[0] >= 0x80, payload, rest: bytes.subarray(at + 4 + length) };
}

/** What a client makes of bytes: messages, what it says to them, and whether it goes on. */
function decoded(...chunks) {
  const framing = new WebSocketFraming();
  const [messages, replies] = [[], []];
  const goesOn = chunks.every((chunk) =>
    framing.decode(chunk, (bytes) => messages.push(bytes.toString()), (bytes) => replies.push(unmask(bytes))),
  );
  const closed = replies.find(({ opcode }) => opcode === 8)?.payload.readUInt16BE(0);
  return { messages, replies, goesOn, closed };
}

test("what a client writes is masked with a key of its own, whatever its length", () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
    const payload = Buffer.alloc(length, "x");
    const { opcode, final, payload: read, rest } = unmask(encode(2, payload));
    assert.deepEqual([opcode, final, rest.length], [2, true, 0]);
    assert.ok(read.equals(payload), `${length} bytes`);
  }
  assert.notDeepEqual(encode(1, Buffer.alloc(64)), encode(1, Buffer.alloc(64)));
});

test("text is sent as text, and what is no UTF-8 as bytes (RFC 7118 §5)", () => {
  const framing = new WebSocketFraming();
  assert.equal(unmask(framing.encode(Buffer.from("Grüße"))).opcode, 1);
  assert.equal(unmask(framing.encode(Buffer.from([0x53, 0xff]))).opcode, 2);
});

test("messages come whole, however they were cut", () => {
  const long = "a".repeat(300);
  const bytes = Buffer.concat([
    frame(1, "one"),
    frame(1, "fra", { final: false }),
    frame(9, "still there?"),
    frame(0, "gmen", { final: false }),
    frame(0, "", { final: false }),
    frame(0, "ted"),
    frame(2, long),
    frame(10, "unasked"),
  ]);
  const whole = decoded(bytes);
  assert.deepEqual(whole.messages, ["one", "fragmented", long]);
  const [{ opcode, payload }] = whole.replies;
  assert.deepEqual([opcode, payload.toString()], [10, "still there?"]);
  const one = decoded(...Array.from(bytes, (byte) => Buffer.from([byte])));
  assert.deepEqual([one.messages, one.goesOn], [whole.messages, true]);
});

test("a message may have 64 KiB and no more", () => {
  const largest = "x".repeat(LARGEST);
  assert.deepEqual(decoded(frame(1, largest)).messages, [largest]);
  assert.equal(decoded(frame(1, largest + "x")).closed, 1_009);
  const pieces = decoded(frame(1, largest, { final: false }), frame(0, "x"));
  assert.deepEqual([pieces.messages, pieces.closed], [[], 1_009]);
  // Its length is refused before it comes.
  const head = Buffer.from([0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]);
  assert.equal(decoded(head).closed, 1_009);
});

test("what breaks the protocol closes the connection, and says why (RFC 6455 §7.4.1)", () => {
  const masked = Buffer.concat([Buffer.from([0x81, 0x81, 1, 2, 3, 4]), Buffer.from("x")]);
  for (const [what, bytes, code] of [
    ["a masked frame", masked, 1_002],
    ["a reserved bit", Buffer.from([0xc1, 0]), 1_002],
    ["an unknown opcode", Buffer.from([0x83, 0]), 1_002],
    ["an unknown control frame", Buffer.from([0x8b, 0]), 1_002],
    ["a ping in pieces", frame(9, "x", { final: false }), 1_002],
    ["a long ping", frame(9, "x".repeat(126)), 1_002],
    ["a length that is too long", Buffer.from([0x81, 126, 0, 1, 65]), 1_002],
    ["a continuation of nothing", frame(0, "x"), 1_002],
    ["a message within another", Buffer.concat([frame(1, "x", { final: false }), frame(1, "y")]), 1_002],
    ["text that is none", frame(1, [0xff]), 1_007],
    ["a close of no reason", frame(8, []), 1_000],
    ["a close", frame(8, [0x03, 0xe9]), 1_001],
    ["a close of half a code", frame(8, [0x03]), 1_002],
    ["a close of a code that may not be sent", frame(8, [0x03, 0xee]), 1_002],
  ]) {
    const { goesOn, closed } = decoded(bytes);
    assert.deepEqual([goesOn, closed], [false, code], what);
  }
});

test("a reader keeps the frame that is not whole", () => {
  const reader = new FrameReader(10);
  assert.deepEqual([...reader.read(Buffer.from([0x81]))], []);
  assert.deepEqual([...reader.read(Buffer.from([1]))], []);
  assert.equal([...reader.read(Buffer.from("x"))][0].payload.toString(), "x");
});

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const accepted = (key) => createHash("sha1").update(key + GUID).digest("base64");

test("only an answer to this very question opens a WebSocket", () => {
  const key = "dGhlIHNhbXBsZSBub25jZQ==";
  assert.equal(accepted(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  const fields = {
    Upgrade: "WebSocket",
    Connection: "keep-alive, Upgrade",
    "Sec-WebSocket-Accept": accepted(key),
    "Sec-WebSocket-Protocol": "sip",
  };
  const head = (changes = {}, status = "HTTP/1.1 101 Switching Protocols") => {
    const lines = Object.entries({ ...fields, ...changes }).filter(([, value]) => value);
    return [status, ...lines.map(([name, value]) => `${name}: ${value}`)].join("\r\n");
  };
  assert.equal(refusalIn(head(), key), undefined);
  const none = "it does not speak WebSocket (is the port right?)";
  for (const [answer, problem] of [
    [head({}, "HTTP/1.1 404 Not Found"), "it answered HTTP 404 (are the port and the path right?)"],
    [head({}, "SIP/2.0 400 Bad Request"), none],
    [head({ Upgrade: "h2c" }), none],
    [head({ Connection: "close" }), none],
    [head({ "Sec-WebSocket-Accept": accepted("another") }), none],
    [head({ "Sec-WebSocket-Accept": undefined }), none],
    [head({ "Sec-WebSocket-Extensions": "permessage-deflate" }), none],
    [`${head()}\r\nupgrade: websocket`, none],
    [`${head()}\r\nno field`, none],
    [head({ "Sec-WebSocket-Protocol": undefined }), "it speaks WebSocket, but not SIP over it"],
    [head({ "Sec-WebSocket-Protocol": "xmpp" }), "it speaks WebSocket, but not SIP over it"],
  ]) {
    assert.equal(refusalIn(answer, key)?.message, problem, answer);
  }
});

/** A server that answers the handshake as `answer` says, and hands out what comes after it. */
async function server(t, answer) {
  const listening = createServer();
  const peers = [];
  listening.on("connection", (socket) => {
    peers.push(socket.on("error", () => {}));
    socket.once("data", (request) => {
      const key = /Sec-WebSocket-Key: (\S+)/.exec(request)[1];
      socket.request = request.toString();
      answer(socket, key);
      socket.messages = [];
      socket.on("data", (bytes) => {
        for (let rest = bytes; rest.length > 0; ) {
          const read = unmask(rest);
          rest = read.rest;
          socket.messages.push(`${read.opcode} ${read.payload.toString("latin1")}`);
          listening.emit("message");
        }
      });
    });
  });
  listening.listen(0, "127.0.0.1");
  await once(listening, "listening");
  t.after(() => {
    peers.forEach((socket) => socket.destroy());
    listening.close();
  });
  return { listening, peers, port: listening.address().port };
}

const accept = (socket, key, ...more) =>
  socket.write(
    Buffer.concat([
      Buffer.from(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${accepted(key)}\r\nSec-WebSocket-Protocol: sip\r\n\r\n`,
      ),
      ...more,
    ]),
  );

test("a host opens a WebSocket, and messages go both ways", OPTIONS, async (t) => {
  const { listening, peers, port } = await server(t, (socket, key) => accept(socket, key, frame(1, "at once")));
  const { host, inlet } = await opened(t, NodeHost, { listen: [], websocketPath: "/sip?x=1" });
  const to = { address: "127.0.0.1", port };
  host.openFlow({ id: 7, transport: "WS", name: "pbx.example.com", ...to });
  const [id, flow] = await inlet.next("flowOpened");
  assert.deepEqual([id, flow % 8], [7, 3]);
  assert.match(peers[0].request, /^GET \/sip\?x=1 HTTP\/1\.1\r\nHost: pbx\.example\.com:\d+\r\n/);
  assert.deepEqual(await inlet.next("datagram"), [flow, "127.0.0.1", port, "at once"]);
  host.send(sip(flow, to, "REGISTER"));
  host.send(sip(flow, to, "OPTIONS \xff"));
  while (peers[0].messages.length < 2) await once(listening, "message");
  assert.deepEqual(peers[0].messages, ["1 REGISTER", "2 OPTIONS \xff"]);
  host.closeFlow(flow);
  while (peers[0].messages.length < 3) await once(listening, "message");
  assert.equal(peers[0].messages[2], "8 \x03\xe8");
});

test("a server that ends it, or says nonsense, is told as closed", OPTIONS, async (t) => {
  const { port } = await server(t, (socket, key) => accept(socket, key, frame(8, [0x03, 0xe9])));
  const { host, inlet } = await opened(t, NodeHost, { listen: [] });
  const open = { transport: "WS", address: "127.0.0.1", port, name: "127.0.0.1" };
  host.openFlow({ id: 1, ...open });
  const [, flow] = await inlet.next("flowOpened");
  assert.deepEqual(await inlet.next("flowClosed"), [flow]);
  const { port: other } = await server(t, (socket) => socket.end("SIP/2.0 400 Bad Request\r\n\r\n"));
  host.openFlow({ id: 2, ...open, port: other });
  const why = "it does not speak WebSocket (is the port right?)";
  assert.deepEqual(await inlet.next("flowFailed"), [2, "unreachable", why]);
  const { port: gone } = await server(t, (socket) => socket.end());
  host.openFlow({ id: 3, ...open, port: gone });
  assert.deepEqual(await inlet.next("flowFailed"), [3, "unreachable", "it closed the connection at once"]);
});
