// Everything that a telephone has open between a start and its end: sockets for signalling, connections,
// media ports, the resolver.
import { isIPv6 } from "node:net";
import { OffhookError } from "../errors.js";
import {
  flowNumber,
  flowTransport,
  type Address,
  type FlowRequest,
  type Inlet,
  type MediaRequest,
  type NameRequest,
  type Needs,
  type Packet,
  type Transport,
} from "../host.js";
import { Connections } from "./connections.js";
import { ConnectFailure, unreachable } from "./failure.js";
import { ConnectionCounter, Listener } from "./listener.js";
import { Names } from "./names.js";
import { MediaPorts } from "./ports.js";
import { Routes } from "./routes.js";
import type { Serials } from "./serials.js";
import { Tls } from "./tls.js";
import { bindUdp, SignallingSocket } from "./udp.js";

/** How often another port is tried where one that is free for all transports is wanted. */
const PORTS = 32;

/** The numbers of flows and of media ports, over all starts. */
export interface Numbers {
  readonly flows: Serials;
  readonly media: Serials;
}

export class Sockets {
  readonly #datagrams = new Map<number, SignallingSocket>();
  /** The flows whose socket could not be bound anew, and where it was. */
  readonly #unbound = new Map<number, Address>();
  #listeners: Listener[] = [];
  readonly #connections: Connections;
  readonly #counter = new ConnectionCounter();
  readonly #routes = new Routes();
  readonly #names: Names;
  readonly #ports: MediaPorts;
  /** The addresses to send from, at most one of each family. */
  #ours: string[] = [];
  #rebinding: Promise<void> | undefined;
  #closed = false;

  private constructor(
    private readonly needs: Needs,
    private readonly tls: Tls,
    private readonly inlet: Inlet,
    private readonly numbers: Numbers,
  ) {
    this.#names = new Names(needs.dnsServers);
    this.#ports = new MediaPorts(numbers.media, inlet.media.bind(inlet));
    this.#connections = new Connections(inlet, numbers.flows, this.#advertised.bind(this));
  }

  /** Reads the files and binds. Rejects with an `OffhookError`; nothing is open then. */
  static async open(needs: Needs, inlet: Inlet, numbers: Numbers): Promise<Sockets> {
    const tls = await Tls.load(needs.tls);
    if (needs.listen.includes("TLS") && !tls.canAccept) {
      const why = "without a certificate: name its file (cert_file, --cert-file)";
      throw new OffhookError("no_certificate", `cannot listen for TLS at ${shown(needs)} ${why}`);
    }
    const sockets = new Sockets(needs, tls, inlet, numbers);
    try {
      await sockets.#listen();
    } catch (error) {
      await sockets.close();
      throw error;
    }
    return sockets;
  }

  /** Where it listens: first for datagrams, then for connections. */
  get listening(): { transport: Transport; address: string; port: number }[] {
    const datagrams = [...this.#datagrams.values()].map(({ bound }) => ({ transport: "UDP" as const, ...bound }));
    return [...datagrams, ...this.#listeners.map(({ transport, bound }) => ({ transport, ...bound }))];
  }

  send(packet: Packet): void {
    const { lane, socket: flow, address, port } = packet;
    if (lane !== "sip") return this.#ports.send(packet);
    if (flowTransport(flow) !== "UDP") return this.#connections.send(packet);
    const socket = this.#datagrams.get(flow);
    if (socket) socket.send(packet);
    // While it is bound anew it is lost, and sent again.
    else if (!this.#rebinding) this.inlet.sendFailed(flow, address, port);
  }

  async openFlow(request: FlowRequest): Promise<void> {
    try {
      if (request.transport === "UDP") await this.#openDatagrams(request);
      else await this.#dial(request);
    } catch (error) {
      const failure = error instanceof ConnectFailure ? error : unreachable("there is no route");
      this.inlet.flowFailed(request.id, failure.kind, failure.message);
    }
  }

  closeFlow(flow: number): void {
    this.#connections.close(flow);
  }

  async bindMedia({ id, toward, low, high }: MediaRequest): Promise<void> {
    const ours = this.#from(toward);
    const address = ours && (await this.#routes.local(ours, toward).catch(() => undefined));
    const lent = address && (await this.#ports.lend(ours, low, high));
    if (lent) this.inlet.mediaBound(id, lent.media, address, lent.port, lent.port + 1);
    else this.inlet.mediaUnavailable(id);
  }

  releaseMedia(media: number): void {
    this.#ports.release(media);
  }

  async resolve(request: NameRequest): Promise<void> {
    try {
      const found = await this.#names.find(request);
      // One call for each kind, as the types want it.
      if (found.kind === "naptr") this.inlet.resolved(request.id, found.kind, found.records, found.ttl);
      else if (found.kind === "srv") this.inlet.resolved(request.id, found.kind, found.records, found.ttl);
      else this.inlet.resolved(request.id, found.kind, found.records, found.ttl);
    } catch (error) {
      this.inlet.resolveFailed(request.id, (error as Error).message);
    }
  }

  rebind(): void {
    this.#routes.forget();
    this.#ports.closeResting();
    this.#names.renew();
    this.#connections.abort();
    const before = this.#rebinding;
    const rebinding = this.#bindAnew(before).finally(() => {
      if (this.#rebinding === rebinding) this.#rebinding = undefined;
    });
    this.#rebinding = rebinding;
  }

  /** Closes everything; what was sent on connections leaves first, if the peer takes it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#closeListening();
    this.#ports.close();
    this.#names.close();
    await this.#connections.end();
  }

  /**
   * Listens for every transport at the same port; 0 picks one that is free for all. The unspecified
   * address of IPv4 means every address of this machine: those of IPv6 too, where the system has it.
   */
  async #listen(): Promise<void> {
    const { address, listen } = this.needs;
    this.#ours = address === "0.0.0.0" && (await hasIpv6()) ? [address, "::"] : [address];
    for (let attempt = 1; ; attempt += 1) {
      let { port } = this.needs;
      try {
        for (const ip of this.#ours) {
          for (const transport of listen) port = await this.#listenFor(transport, { address: ip, port });
        }
        return;
      } catch (error) {
        const isTaken = ((error as Error).cause as NodeJS.ErrnoException)?.code === "EADDRINUSE";
        if (this.needs.port !== 0 || !isTaken || attempt === PORTS) throw error;
        this.#closeListening();
      }
    }
  }

  async #listenFor(transport: Transport, at: Address): Promise<number> {
    try {
      if (transport !== "UDP") return await this.#listenAt(transport, at);
      const socket = await SignallingSocket.bind(this.#datagramFlow(), at, this.inlet);
      this.#datagrams.set(socket.flow, socket);
      return socket.bound.port;
    } catch (cause) {
      const problem = bindProblem(cause as NodeJS.ErrnoException);
      throw new OffhookError("bind", `cannot listen on ${transport} ${shown(at)}: ${problem}`, { cause });
    }
  }

  async #listenAt(transport: Transport, at: Address): Promise<number> {
    const guest = this.#connections.accept.bind(this.#connections);
    const listener = await Listener.bind(transport, at, this.tls, this.#counter, guest);
    this.#listeners.push(listener);
    return listener.bound.port;
  }

  #closeListening(): void {
    for (const socket of [...this.#datagrams.values(), ...this.#listeners]) socket.close();
    this.#datagrams.clear();
    this.#listeners = [];
  }

  /** Binds every socket anew, at the same port or else at any. */
  async #bindAnew(before: Promise<void> | undefined): Promise<void> {
    await before;
    if (this.#closed) return;
    for (const { flow, bound } of this.#datagrams.values()) this.#unbound.set(flow, bound);
    const listeners = this.#listeners;
    this.#closeListening();
    for (const [flow, bound] of [...this.#unbound]) {
      const socket = await anew(bound, (at) => SignallingSocket.bind(flow, at, this.inlet));
      if (!socket) continue;
      this.#unbound.delete(flow);
      this.#datagrams.set(flow, socket);
    }
    for (const { transport, bound } of listeners) await anew(bound, (at) => this.#listenAt(transport, at));
    // It was closed meanwhile.
    if (this.#closed) this.#closeListening();
  }

  async #openDatagrams({ id, address }: FlowRequest): Promise<void> {
    await this.#rebinding;
    const socket = [...this.#datagrams.values()].find(({ bound }) => isSameFamily(bound.address, address));
    if (!socket) throw unreachable("there is no route");
    const local = await this.#routes.local(socket.bound.address, address);
    this.inlet.flowOpened(id, socket.flow, { address: local, port: socket.bound.port });
  }

  async #dial(request: FlowRequest): Promise<void> {
    const ours = this.#from(request.address);
    if (!ours) throw unreachable("no address of ours leads there");
    await this.#connections.dial(request, ours, {
      tls: this.tls,
      websocketPath: this.needs.websocketPath,
    });
  }

  /** Its port is the one where we listen for the transport, or else our UDP port, which at least stays the same. */
  #advertised(transport: Transport, local: Address): Address {
    const here = this.listening.filter(({ address }) => isSameFamily(address, local.address));
    const found = [transport, "UDP"].map((wanted) => here.find((at) => at.transport === wanted));
    return { address: local.address, port: (found[0] ?? found[1] ?? local).port };
  }

  /** The address to send from to `peer`, which may be the unspecified one. */
  #from(peer: string): string | undefined {
    return this.#ours.find((address) => isSameFamily(address, peer));
  }

  #datagramFlow(): number {
    return flowNumber("UDP", this.numbers.flows.next());
  }
}

const isSameFamily = (one: string, other: string): boolean => isIPv6(one) === isIPv6(other);

/** Binds at `at`, or else at another port of it. */
async function anew<T>(at: Address, bind: (at: Address) => Promise<T>): Promise<T | undefined> {
  return bind(at).catch(() => bind({ ...at, port: 0 }).catch(() => undefined));
}

/** Whether this system does IPv6. */
async function hasIpv6(): Promise<boolean> {
  const socket = await bindUdp("::", 0).catch(() => undefined);
  socket?.close();
  return socket !== undefined;
}

const shown = ({ address, port }: Address): string =>
  isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;

function bindProblem({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case "EADDRINUSE":
      return "the port is in use by another program; stop it, or bind another port (0 picks a free one)";
    case "EADDRNOTAVAIL":
      return "this machine does not have that address";
    case "EACCES":
      return "ports below 1024 need a privilege; bind a higher one";
    default:
      return message;
  }
}
