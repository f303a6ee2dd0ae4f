// The connections of a telephone: those that it opened, and those that peers have opened.
import type { Socket } from "node:net";
import {
  flowNumber,
  type Address,
  type FlowRequest,
  type Identities,
  type Inlet,
  type Packet,
  type Transport,
} from "../host.js";
import { Connection, StreamFraming, type Framing } from "./connection.js";
import { dial, type Dialling } from "./dial.js";
import type { Serials } from "./serials.js";

/** The address to advertise on a connection whose near end is `local`. */
export type Advertised = (transport: Transport, local: Address) => Address;

export class Connections {
  readonly #byFlow = new Map<number, Connection>();
  /** With those that are being closed. */
  readonly #open = new Set<Connection>();
  readonly #closing = new AbortController();

  constructor(
    private readonly inlet: Inlet,
    private readonly serials: Serials,
    private readonly advertised: Advertised,
  ) {}

  /** Opens one from the address `ours`. Rejects with a `ConnectFailure`. */
  async dial(request: FlowRequest, ours: string, how: Dialling): Promise<void> {
    const { id, transport } = request;
    const { socket, framing, early, certificate } = await dial(request, ours, how, this.#closing.signal);
    const { flow, connection } = this.#carry(transport, socket, framing);
    this.inlet.flowOpened(id, flow, this.advertised(transport, near(socket)), certificate);
    connection.read(early);
  }

  /** Takes one that a peer has opened. */
  accept(transport: Transport, socket: Socket, certificate?: Identities): void {
    if (this.#closing.signal.aborted) {
      socket.destroy();
      return;
    }
    const { flow, connection } = this.#carry(transport, socket, new StreamFraming());
    this.inlet.flowAccepted(flow, connection.peer, near(socket), certificate);
    connection.read();
  }

  send({ socket: flow, address, port, bytes }: Packet): void {
    const connection = this.#byFlow.get(flow);
    if (!connection) return this.inlet.sendFailed(flow, address, port);
    if (connection.send(bytes)) return;
    this.#byFlow.delete(flow);
    this.inlet.flowClosed(flow);
  }

  /** Closes one: what was sent leaves first. */
  close(flow: number): void {
    this.#byFlow.get(flow)?.close();
    this.#byFlow.delete(flow);
  }

  /** Ends all at once, because the network has changed. */
  abort(): void {
    const connections = [...this.#byFlow];
    this.#byFlow.clear();
    for (const [flow, connection] of connections) {
      connection.abort();
      this.inlet.flowClosed(flow);
    }
  }

  /** Closes all, and gives up what is being opened. What was sent leaves first, if the peer takes it soon. */
  async end(): Promise<void> {
    this.#closing.abort();
    this.#byFlow.clear();
    for (const connection of this.#open) connection.close();
    const abort = () => this.#open.forEach((connection) => connection.abort());
    const timer = setTimeout(abort, Connection.LINGER_MS);
    await Promise.all([...this.#open].map(({ closed }) => closed));
    clearTimeout(timer);
  }

  #carry(transport: Transport, socket: Socket, framing: Framing): { flow: number; connection: Connection } {
    const flow = flowNumber(transport, this.serials.next());
    const isStream = transport === "TCP" || transport === "TLS";
    const connection = new Connection(socket, framing, {
      came: (bytes) => {
        const { address, port } = connection.peer;
        if (isStream) this.inlet.stream(flow, address, port, bytes);
        else this.inlet.datagram(flow, address, port, bytes);
      },
      lost: () => {
        if (this.#byFlow.delete(flow)) this.inlet.flowClosed(flow);
      },
    });
    this.#byFlow.set(flow, connection);
    this.#open.add(connection);
    void connection.closed.then(() => this.#open.delete(connection));
    return { flow, connection };
  }
}

const near = (socket: Socket): Address => ({
  address: socket.localAddress ?? "",
  port: socket.localPort ?? 0,
});
