// The host of a telephone in Node: sockets over node:dgram, node:net and node:tls, names over node:dns.
//
// `sockets.ts` is all that is open; from there each file is one thing: a datagram socket (`udp.ts`), a
// connection (`connection.ts`), how it is opened (`dial.ts`, `tls.ts`, `websocket/`), and so on.
import type {
  Bound,
  FlowRequest,
  Host,
  Inlet,
  MediaRequest,
  NameRequest,
  Needs,
  Packet,
} from "../host.js";
import { create, load } from "./files.js";
import { Serials } from "./serials.js";
import { Sockets } from "./sockets.js";

/** What a telephone needs in Node: there a phone runs on it unless it is given another host. */
export class NodeHost implements Host {
  readonly #numbers = { flows: new Serials(), media: new Serials() };
  #sockets: Sockets | undefined;

  readonly load = load;
  readonly create = create;

  async open(needs: Needs, inlet: Inlet): Promise<Bound> {
    const sockets = await Sockets.open(needs, inlet, this.#numbers);
    this.#sockets = sockets;
    return { listening: sockets.listening };
  }

  send(packet: Packet): void {
    this.#sockets?.send(packet);
  }

  openFlow(request: FlowRequest): void {
    void this.#sockets?.openFlow(request);
  }

  closeFlow(flow: number): void {
    this.#sockets?.closeFlow(flow);
  }

  bindMedia(request: MediaRequest): void {
    void this.#sockets?.bindMedia(request);
  }

  releaseMedia(media: number): void {
    this.#sockets?.releaseMedia(media);
  }

  resolve(request: NameRequest): void {
    void this.#sockets?.resolve(request);
  }

  rebind(): void {
    this.#sockets?.rebind();
  }

  async close(): Promise<void> {
    const sockets = this.#sockets;
    this.#sockets = undefined;
    await sockets?.close();
  }
}
