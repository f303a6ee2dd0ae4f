// What a telephone needs of the place where it runs: sockets, names, files. `node/host.ts` is the host for
// Node.
import type { NaptrRecord, SrvRecord } from "./offhook_wasm.js";

export type { NaptrRecord, SrvRecord };

/** How SIP messages travel. The order is that of {@link flowNumber}. */
export type Transport = "UDP" | "TCP" | "TLS" | "WS" | "WSS";

/** Every {@link Transport}; the index of each is what the low three bits of a flow's number say. */
export const TRANSPORTS: readonly Transport[] = ["UDP", "TCP", "TLS", "WS", "WSS"];

/**
 * The number of a flow: a socket or a connection for signalling. `serial` counts from 0 and is never
 * used again; below 2^29.
 */
export const flowNumber = (transport: Transport, serial: number): number =>
  serial * 8 + TRANSPORTS.indexOf(transport);

/** How messages travel on the flow of that number. */
export const flowTransport = (flow: number): Transport => TRANSPORTS[flow % 8] ?? "UDP";

/** An IP address, IPv6 without brackets, and a port. */
export interface Address {
  readonly address: string;
  readonly port: number;
}

/**
 * What a telephone runs on. One host carries one set of sockets, and all accounts that share it.
 *
 * The contract:
 *
 * - `open` comes first, and once for each start after `close`. Nothing else is called before it has
 *   resolved, and nothing after `close` was called, until the next `open`.
 * - `send`, `openFlow`, `closeFlow`, `bindMedia`, `releaseMedia`, `resolve` and `rebind` return at once and
 *   do not throw: what goes wrong is said by the {@link Inlet}, later. They may call the inlet before they
 *   return; it waits until the telephone has done with what it was at.
 * - Each `openFlow`, `bindMedia` and `resolve` is answered by one call of the inlet with the same `id`. An
 *   answer that does not come is given up after a while (32 s), and one that comes too late is taken
 *   back by `closeFlow` or `releaseMedia`.
 * - The host drains its own queues. What a full socket does not take, and what a peer does not read, is
 *   kept within a bound or dropped; a connection whose peer reads nothing is closed, and said to be by
 *   `flowClosed`.
 * - The host knows nothing of SIP: whom a certificate names, where a message ends, and when to send again
 *   is not its business.
 *
 * A host whose network is a list in memory, which shows what there is to do:
 *
 * ```ts
 * class Loopback implements Host {
 *   #inlet?: Inlet;
 *   #serial = 0;
 *   constructor(
 *     readonly network: Map<string, Loopback>,
 *     readonly address: string,
 *   ) {}
 *   async open(needs: Needs, inlet: Inlet): Promise<Bound> {
 *     this.#inlet = inlet;
 *     this.network.set(this.address, this);
 *     return { listening: [{ transport: "UDP", address: this.address, port: needs.port }] };
 *   }
 *   send({ lane, address, port, bytes }: Packet) {
 *     const copy = bytes.slice(); // `bytes` is good only until we return
 *     setImmediate(() => this.network.get(address)?.receive(lane, this.address, port, copy));
 *   }
 *   receive(lane: Lane, from: string, port: number, bytes: Uint8Array) {
 *     if (lane === "sip") this.#inlet?.datagram(flowNumber("UDP", 0), from, 5060, bytes);
 *     else this.#inlet?.media(Math.floor(port / 2), lane === "rtcp", from, port, bytes);
 *   }
 *   openFlow({ id, transport }: FlowRequest) {
 *     const local = { address: this.address, port: 5060 };
 *     if (transport === "UDP") this.#inlet?.flowOpened(id, flowNumber("UDP", 0), local);
 *     else this.#inlet?.flowFailed(id, "unsupported");
 *   }
 *   bindMedia({ id, low }: MediaRequest) {
 *     const port = low + (low % 2) + 2 * this.#serial++;
 *     this.#inlet?.mediaBound(id, port / 2, this.address, port, port + 1);
 *   }
 *   resolve({ id }: NameRequest) {
 *     this.#inlet?.resolveFailed(id, "there are no names on this network");
 *   }
 *   closeFlow() {}
 *   releaseMedia() {}
 *   rebind() {}
 *   close() {
 *     this.network.delete(this.address);
 *   }
 * }
 * ```
 */
export interface Host {
  /**
   * Opens what signalling needs, and says where that is. Rejects with what is in the way, best an
   * `OffhookError` (`bind`, `tls_file`, `no_certificate`); nothing is open then.
   */
  open(needs: Needs, inlet: Inlet): Promise<Bound>;
  /**
   * Sends one packet. `packet` is good until `send` returns, and so are its `bytes`, a view of the
   * telephone's memory: copy what is sent later.
   */
  send(packet: Packet): void;
  /** Wants a flow to an address: `flowOpened` or `flowFailed` answers. Of UDP it is the socket. */
  openFlow(request: FlowRequest): void;
  /** The connection is not needed any more. What was sent leaves first. There is no answer. */
  closeFlow(flow: number): void;
  /** Wants a pair of media ports: `mediaBound` or `mediaUnavailable` answers. */
  bindMedia(request: MediaRequest): void;
  /** The pair is not needed any more. There is no answer. */
  releaseMedia(media: number): void;
  /** Wants DNS records: `resolved` or `resolveFailed` answers. */
  resolve(request: NameRequest): void;
  /**
   * The network has changed: bind the sockets for signalling anew, at the same ports if that can be, and
   * forget what was known of routes and DNS servers. There is no answer. A UDP flow keeps its number;
   * every connection ends, each with `flowClosed`. Pairs of media ports stay as they are.
   */
  rebind(): void;
  /** Closes everything. What was sent leaves first; what is under way is given up. */
  close(): void | Promise<void>;
  /** Reads a file, for `call.play(file)`. Rejects with an `OffhookError` of code `file`. */
  load?(file: string | URL): Promise<Uint8Array>;
  /** Makes a file, or empties it, for `call.record(file)`. Rejects as `load`. */
  create?(file: string | URL): Promise<FileSink>;
}

/** What signalling needs. */
export interface Needs {
  /** The address to bind: `0.0.0.0` or `::` for every interface. */
  readonly address: string;
  /** The port to bind; 0 picks one, the same for all transports where that can be. */
  readonly port: number;
  /** For what to listen there. UDP also sends from there; what is not named here is dialled only. */
  readonly listen: readonly Transport[];
  /** Whom TLS and WSS trust, and what they show of us. */
  readonly tls: TlsFiles;
  /** The DNS servers to ask, `192.0.2.53:53`; none for those of the system. */
  readonly dnsServers: readonly string[];
  /** The path of a WebSocket server's URL, with its query if there is one. */
  readonly websocketPath: string;
}

/** Certificates and keys, in PEM. */
export interface TlsFiles {
  /**
   * The authorities that may sign the certificates of servers; without it those of the system. A server's
   * own certificate in it is trusted as well.
   */
  readonly caFile?: string;
  /** Our certificate, and after it those up to its authority. */
  readonly certFile?: string;
  /** Its private key; without it the key stands in `certFile`. */
  readonly keyFile?: string;
  /** The password of an encrypted key. */
  readonly keyPassword?: string;
  /** The authorities that may sign the certificates of those who connect to us; without it none is asked for. */
  readonly clientCaFile?: string;
  /** Whether any certificate of any server is taken: for tests. */
  readonly insecure: boolean;
}

/** Where a host listens. */
export interface Bound {
  readonly listening: readonly (Address & { readonly transport: Transport })[];
}

/** Which socket sends a packet: that of the flow, or the RTP or RTCP socket of a pair of media ports. */
export type Lane = "sip" | "rtp" | "rtcp";

/** A packet that leaves: one datagram, or on a connection the next bytes, on a WebSocket one message. */
export interface Packet {
  readonly lane: Lane;
  /** The number of the flow, or of the pair of media ports. */
  readonly socket: number;
  readonly address: string;
  readonly port: number;
  readonly bytes: Uint8Array;
}

/** A flow that is wanted. */
export interface FlowRequest extends Address {
  readonly id: number;
  readonly transport: Transport;
  /** The domain or address that was asked for: it goes into SNI and Host. */
  readonly name: string;
}

/** A pair of media ports that is wanted: RTP at an even port, RTCP at the next. */
export interface MediaRequest {
  readonly id: number;
  /** The peer's address: the address of the route to it is to be said. */
  readonly toward: string;
  /** The lowest and the highest port allowed. */
  readonly low: number;
  readonly high: number;
}

/** DNS records that are wanted. */
export interface NameRequest {
  readonly id: number;
  readonly kind: "naptr" | "srv" | "addresses";
  /** Without a dot at its end. */
  readonly name: string;
}

/** Whom a certificate names (RFC 5922 §7.1), of one whose chain, dates and purpose the host has verified. */
export interface Identities {
  /** The URIs of subjectAltName. */
  readonly uris: readonly string[];
  /** Its DNS names. */
  readonly dnsNames: readonly string[];
  /** Its IP addresses. */
  readonly addresses: readonly string[];
  /** The common name of the subject, where there is no subjectAltName at all. */
  readonly commonName?: string;
}

/**
 * What a host says. Each may be called at any time from when `open` began until `close` has returned;
 * later calls do nothing. Bytes are taken over before the call returns. Nothing here throws, but for an
 * address that is not numeric (`invalid_value`).
 */
export interface Inlet {
  /** A datagram of UDP, or a message of a WebSocket. */
  datagram(flow: number, address: string, port: number, bytes: Uint8Array): void;
  /** The next bytes of a TCP or TLS connection, cut anywhere; never none. */
  stream(flow: number, address: string, port: number, bytes: Uint8Array): void;
  /** A packet that came to the RTP or the RTCP socket of a pair of media ports. */
  media(media: number, rtcp: boolean, address: string, port: number, bytes: Uint8Array): void;
  /**
   * Answers `openFlow`. `local` is our address as the peer sees it: that of the route, never `0.0.0.0`;
   * its port, of a connection, is the one where we listen for that transport, if we do.
   */
  flowOpened(id: number, flow: number, local: Address, certificate?: Identities): void;
  /**
   * Answers `openFlow`: there is no such flow. `problem` ends a sentence: "connection refused", "its
   * certificate expired on 2 May 2026".
   */
  flowFailed(id: number, kind: "unreachable" | "untrusted" | "unsupported", problem?: string): void;
  /** A peer has connected to us. */
  flowAccepted(flow: number, from: Address, local: Address, certificate?: Identities): void;
  /** A connection is over, by either side. What was queued is lost. */
  flowClosed(flow: number): void;
  /** What was sent on the flow to that address was refused by the network. */
  sendFailed(flow: number, address: string, port: number): void;
  /** Answers `bindMedia`. `media` is never used again; `address` is ours as the peer sees it. */
  mediaBound(id: number, media: number, address: string, rtpPort: number, rtcpPort: number): void;
  /** Answers `bindMedia`: no pair is free. */
  mediaUnavailable(id: number): void;
  /** Answers `resolve`; no records when there are none. `ttl` is in seconds, where it is known. */
  resolved(id: number, kind: "naptr", records: readonly NaptrRecord[], ttl?: number): void;
  resolved(id: number, kind: "srv", records: readonly SrvRecord[], ttl?: number): void;
  resolved(id: number, kind: "addresses", records: readonly string[], ttl?: number): void;
  /** Answers `resolve`: it is not known whether there are records. `problem` ends a sentence. */
  resolveFailed(id: number, problem: string): void;
}

/** A file that is written. */
export interface FileSink {
  /** Writes bytes at a place in it. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Ends it; what was written stays. */
  close(): Promise<void>;
}
