// Sockets at which peers connect to us, and how many connections they may hold.
import { once } from "node:events";
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Address, Identities, Transport } from "../host.js";
import { identitiesOf } from "./identities.js";
import type { Tls } from "./tls.js";

/** How many connections wait to be taken. */
const BACKLOG = 1_024;

/** Takes a peer that has connected and completed the handshake. */
export type Guest = (transport: Transport, socket: Socket, certificate?: Identities) => void;

/** A listening socket. */
export class Listener {
  readonly bound: Address;

  private constructor(
    readonly transport: Transport,
    private readonly server: Server,
  ) {
    // A server that listens at a port says so.
    const { address, port } = server.address() as Address;
    this.bound = { address, port };
  }

  /** Listens at `at`; port 0 picks one. Rejects with what the system says. */
  static async bind(
    transport: Transport,
    at: Address,
    tls: Tls,
    counter: ConnectionCounter,
    guest: Guest,
  ): Promise<Listener> {
    const server = transport === "TLS" ? tls.server() : createServer({ noDelay: true });
    server.on("connection", (socket: Socket) => {
      socket.on("error", () => {});
      const peer = socket.remoteAddress;
      if (peer === undefined || !counter.admit(peer)) {
        socket.destroy();
        return;
      }
      socket.once("close", () => counter.release(peer));
      if (transport !== "TLS") guest(transport, socket);
    });
    server.on("secureConnection", (socket: TLSSocket) => {
      const certificate = socket.getPeerX509Certificate();
      guest(transport, socket, certificate && identitiesOf(certificate));
    });
    server.on("tlsClientError", (_: Error, socket: TLSSocket) => socket.destroy());
    const listening = once(server, "listening");
    server.listen({
      host: at.address,
      port: at.port,
      exclusive: true,
      backlog: BACKLOG,
      ipv6Only: isIPv6(at.address),
    });
    await listening;
    // What is wrong with one connection does not end the listening.
    server.on("error", () => {});
    return new Listener(transport, server);
  }

  /** Takes no more peers. Those that are there stay. */
  close(): void {
    this.server.close();
  }
}

/** Counts the connections that peers hold. */
export class ConnectionCounter {
  readonly #byNetwork = new Map<string, number>();
  #total = 0;

  constructor(
    /** From one address; of IPv6 from one network of 64 bits, which is what one peer has. */
    private readonly perAddress = 32,
    private readonly most = 1_024,
  ) {}

  /** Counts a connection, if the limits allow one more. */
  admit(peer: string): boolean {
    const network = networkOf(peer);
    const held = this.#byNetwork.get(network) ?? 0;
    if (held >= this.perAddress || this.#total >= this.most) return false;
    this.#byNetwork.set(network, held + 1);
    this.#total += 1;
    return true;
  }

  /** Uncounts one. */
  release(peer: string): void {
    const network = networkOf(peer);
    const held = this.#byNetwork.get(network) ?? 0;
    if (held > 1) this.#byNetwork.set(network, held - 1);
    else this.#byNetwork.delete(network);
    this.#total -= 1;
  }
}

/** An IPv4 address, or the first 64 bits of one of IPv6. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped) return mapped;
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const groups = head ? head.split(":") : [];
  if (tail !== undefined) {
    const after = tail ? tail.split(":") : [];
    // An IPv4 address at the end is two groups.
    const count = after.length + (tail.includes(".") ? 1 : 0);
    groups.push(...Array<string>(8 - groups.length - count).fill("0"), ...after);
  }
  return `${groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16)).join(":")}::/64`;
}
