// Datagram sockets: bound ones, and that of signalling.
import { createSocket, type Socket } from "node:dgram";
import { lookup, type LookupOneOptions } from "node:dns";
import { once } from "node:events";
import { isIP, isIPv6 } from "node:net";
import type { Address, Packet } from "../host.js";
import { Refusals } from "./refusals.js";

/** How much the system keeps for a socket, in bytes; the system's own limits may be lower. */
export interface Buffers {
  readonly receive?: number;
  readonly send?: number;
}

/** Binds a socket; port 0 picks one. Rejects with what the system says, and nothing is open then. */
export async function bindUdp(address: string, port: number, buffers: Buffers = {}): Promise<Socket> {
  const type = isIPv6(address) ? "udp6" : "udp4";
  const socket = createSocket({ type, ipv6Only: type === "udp6", lookup: lookupAtOnce });
  try {
    const listening = once(socket, "listening");
    socket.bind({ address, port, exclusive: true });
    await listening;
    if (buffers.receive) socket.setRecvBufferSize(buffers.receive);
    if (buffers.send) socket.setSendBufferSize(buffers.send);
  } catch (error) {
    socket.close();
    throw error;
  }
  // What does not leave is reported to its sender.
  socket.on("error", () => {});
  return socket;
}

/** A socket that takes packets from one peer alone, and learns when the network refuses what it sends. */
export async function connectUdp(local: string, to: Address): Promise<Socket> {
  const socket = await bindUdp(local, 0);
  try {
    const connected = once(socket, "connect");
    socket.connect(to.port, to.address);
    await connected;
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

/** An address is itself, at once: a packet leaves before whatever is done next, such as to close its socket. */
function lookupAtOnce(
  name: string,
  options: LookupOneOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  const family = isIP(name);
  if (family) callback(null, name, family);
  else lookup(name, options, callback);
}

/** What waits in a socket because the system has no room. Deno does not tell. */
export const queued = (socket: Socket): { readonly packets: number; readonly bytes: number } => ({
  packets: socket.getSendQueueCount?.() ?? 0,
  bytes: socket.getSendQueueSize?.() ?? 0,
});

/** What becomes of datagrams. */
export interface DatagramListener {
  datagram(flow: number, address: string, port: number, bytes: Uint8Array): void;
  sendFailed(flow: number, address: string, port: number): void;
}

/** A UDP socket for signalling. */
export class SignallingSocket {
  /** Bursts of many calls must fit while the machine is busy. */
  static readonly BUFFER = 4 * 1024 * 1024;

  readonly bound: Address;
  readonly #socket: Socket;
  readonly #refusals: Refusals;

  private constructor(
    readonly flow: number,
    socket: Socket,
    private readonly listener: DatagramListener,
  ) {
    const { address, port } = socket.address();
    this.bound = { address, port };
    this.#socket = socket;
    this.#refusals = new Refusals(address, (to) => listener.sendFailed(flow, to.address, to.port));
    socket.on("message", (bytes, from) => {
      this.#refusals.heard(from);
      listener.datagram(flow, from.address, from.port, bytes);
    });
  }

  /** Binds `at`; port 0 picks one. */
  static async bind(flow: number, at: Address, listener: DatagramListener): Promise<SignallingSocket> {
    const buffers = { receive: SignallingSocket.BUFFER, send: SignallingSocket.BUFFER };
    return new SignallingSocket(flow, await bindUdp(at.address, at.port, buffers), listener);
  }

  /**
   * Sends a datagram. When the system has no room it waits here, and within a bound: what is beyond is
   * lost, as on the network.
   */
  send({ address, port, bytes }: Packet): void {
    if (queued(this.#socket).bytes > SignallingSocket.BUFFER) return;
    const failed = () => this.listener.sendFailed(this.flow, address, port);
    // A peer may name port 0, which the system refuses and Node throws at.
    if (port === 0) return failed();
    this.#refusals.sent(address, port);
    // A copy: it may leave when the telephone's memory holds something else.
    this.#socket.send(Buffer.from(bytes), port, address, (error) => {
      if (error) failed();
    });
  }

  close(): void {
    this.#refusals.close();
    this.#socket.close();
  }
}
