// How a client opens a WebSocket (RFC 6455 §4.1), with the sub-protocol of SIP (RFC 7118 §4).
import { createHash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { unreachable, type ConnectFailure } from "../failure.js";

/** What the server hashes with our key, to show that it knows WebSocket (RFC 6455 §1.3). */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** How long the head of the answer may be. */
const LARGEST = 16 * 1024;
const END = Buffer.from("\r\n\r\n");

/** Where to ask: the host with its port, as a URL has it, and the path. */
export interface Resource {
  readonly host: string;
  readonly path: string;
}

/**
 * Asks the server for a WebSocket, and returns what it has sent beyond its answer. Rejects with a
 * `ConnectFailure`.
 */
export async function open(socket: Socket, { host, path }: Resource): Promise<Buffer> {
  // Nothing in them may end the line, or the request.
  if (/[^\x21-\x7e]/.test(host + path) || !path.startsWith("/")) {
    throw unreachable("its name, or the path, is no part of a URL");
  }
  const key = randomBytes(16).toString("base64");
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n`,
  );
  const { head, rest } = await answer(socket);
  const refusal = refusalIn(head, key);
  if (refusal) throw refusal;
  return rest;
}

/** Reads up to the end of the answer's head. */
function answer(socket: Socket): Promise<{ head: string; rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const settle = () => {
      socket.off("data", take).off("error", reject).off("close", closed);
      socket.pause();
    };
    const closed = () => reject(unreachable("it closed the connection at once"));
    const take = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf(END);
      if (end < 0 && received.length <= LARGEST) return;
      settle();
      if (end < 0) return reject(notWebSocket());
      resolve({ head: received.toString("latin1", 0, end), rest: received.subarray(end + END.length) });
    };
    socket.on("data", take).on("error", reject).on("close", closed);
    socket.resume();
  });
}

/** What is wrong with an answer (RFC 6455 §4.1), if anything. */
export function refusalIn(head: string, key: string): ConnectFailure | undefined {
  const [status = "", ...lines] = head.split("\r\n");
  const [, code] = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(status) ?? [];
  if (code === undefined) return notWebSocket();
  if (code !== "101") {
    return unreachable(`it answered HTTP ${code} (are the port and the path right?)`);
  }
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    // A line that is folded, or is none, is no field (RFC 9112 §5).
    if (colon <= 0 || /\s/.test(line.slice(0, colon))) return notWebSocket();
    const name = line.slice(0, colon).toLowerCase();
    fields.set(name, [...(fields.get(name) ?? []), line.slice(colon + 1).trim()]);
  }
  const only = (name: string) => (fields.get(name)?.length === 1 ? fields.get(name)?.[0] : undefined);
  const tokens = (fields.get("connection") ?? []).join(",").toLowerCase().split(/\s*,\s*/);
  const accept = createHash("sha1").update(key + GUID).digest("base64");
  const isWebSocket =
    only("upgrade")?.toLowerCase() === "websocket" &&
    tokens.includes("upgrade") &&
    only("sec-websocket-accept") === accept &&
    // None was offered.
    !fields.has("sec-websocket-extensions");
  if (!isWebSocket) return notWebSocket();
  if (only("sec-websocket-protocol")?.toLowerCase() !== "sip") {
    return unreachable("it speaks WebSocket, but not SIP over it");
  }
  return undefined;
}

const notWebSocket = (): ConnectFailure =>
  unreachable("it does not speak WebSocket (is the port right?)");
