// Connections that we open.
import { connect, type Socket } from "node:net";
import type { Address, Identities, Transport } from "../host.js";
import { StreamFraming, type Framing } from "./connection.js";
import { ConnectFailure, systemFailure, unreachable } from "./failure.js";
import { isUnspecified } from "./routes.js";
import type { Tls } from "./tls.js";
import { WebSocketFraming } from "./websocket/client.js";
import { open as openWebSocket } from "./websocket/handshake.js";

/** How long an address may take to answer, in milliseconds. */
const CONNECT_MS = 5_000;
/** How long the handshakes may take. With `CONNECT_MS` it is less than the ten seconds that the core waits. */
const HANDSHAKE_MS = 4_000;

/** The ports that a URL of `ws:` and of `wss:` need not name. */
const DEFAULT_PORTS: Partial<Record<Transport, number>> = { WS: 80, WSS: 443 };

/** What is to be opened. */
export interface Destination extends Address {
  readonly transport: Transport;
  /** The domain or address that was asked for. */
  readonly name: string;
}

/** How connections are opened. */
export interface Dialling {
  readonly tls: Tls;
  readonly websocketPath: string;
}

/** A connection that was opened. */
export interface Dialled {
  readonly socket: Socket;
  readonly framing: Framing;
  /** What came with the handshake and is for the framing. */
  readonly early?: Buffer;
  readonly certificate?: Identities;
}

/**
 * Opens a connection from `local`, at any port. Rejects with a {@link ConnectFailure}, at the latest when
 * `signal` is aborted.
 */
export async function dial(
  to: Destination,
  local: string,
  { tls, websocketPath }: Dialling,
  signal: AbortSignal,
): Promise<Dialled> {
  const plain = connect({
    host: to.address,
    port: to.port,
    noDelay: true,
    ...(!isUnspecified(local) && { localAddress: local }),
  });
  // Each step listens too; this is for the time between them.
  plain.on("error", () => {});
  const abort = () => plain.destroy();
  signal.addEventListener("abort", abort);
  try {
    if (signal.aborted) plain.destroy();
    await inTime(CONNECT_MS, connected(plain));
    return await inTime(HANDSHAKE_MS, shakeHands(plain, to, tls, websocketPath));
  } catch (error) {
    plain.destroy();
    throw error instanceof ConnectFailure ? error : systemFailure(error as Error);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("connect", resolve).once("error", reject);
    socket.once("close", () => reject(unreachable("it closed the connection at once")));
  });
}

/** What comes before the first message. */
async function shakeHands(
  plain: Socket,
  { transport, name, port }: Destination,
  tls: Tls,
  path: string,
): Promise<Dialled> {
  const isSecure = transport === "TLS" || transport === "WSS";
  const secured = isSecure ? await tls.connect(plain, name, transport === "WSS") : { socket: plain };
  if (transport === "TCP" || transport === "TLS") return { ...secured, framing: new StreamFraming() };
  const host = name.includes(":") ? `[${name.replace(/^\[|\]$/g, "")}]` : name;
  const at = port === DEFAULT_PORTS[transport] ? host : `${host}:${port}`;
  const early = await openWebSocket(secured.socket, { host: at, path });
  return { ...secured, framing: new WebSocketFraming(), early };
}

async function inTime<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const why = `it did not answer within ${ms / 1_000} s`;
    timer = setTimeout(() => reject(unreachable(why)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
