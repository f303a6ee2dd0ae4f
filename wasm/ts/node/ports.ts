// Pairs of media ports: RTP on an even port, RTCP on the one above (RFC 3550 §11).
//
// A pair that was given back rests for a moment and is lent again, if nothing has come to it meanwhile:
// a peer that still sends to the call before would be heard in the next.
import { randomInt } from "node:crypto";
import type { Socket } from "node:dgram";
import type { Packet } from "../host.js";
import type { Serials } from "./serials.js";
import { bindUdp, queued } from "./udp.js";

/** Takes the packets that come to a pair. */
export type MediaListener = (
  media: number,
  rtcp: boolean,
  address: string,
  port: number,
  bytes: Uint8Array,
) => void;

/** Two bound sockets. */
interface Pair {
  readonly address: string;
  /** The even port. */
  readonly port: number;
  readonly rtp: Socket;
  readonly rtcp: Socket;
  /** The number under which it is lent; none while it rests. */
  media: number | undefined;
  /** Whether something has come to it while it rested. */
  disturbed: boolean;
  /** Since when it rests. */
  since: number;
}

/** A pair that is lent. */
export interface Lent {
  readonly media: number;
  readonly port: number;
}

/** Hands out pairs of ports, and carries their packets. */
export class MediaPorts {
  /** How long a pair rests at least: ten packets of a stream that has not ended would come. */
  static readonly REST_MS = 200;
  /** After how long without use it is closed. */
  static readonly KEPT_MS = 2_000;
  /** How many may rest. */
  static readonly MOST = 256;
  /** Half a second of audio at 64 kbit/s and its headers, several times over. */
  static readonly BUFFER = 256 * 1024;

  readonly #lent = new Map<number, Pair>();
  /** Those that rest, the longest first. */
  #resting: Pair[] = [];
  /** The even ports that are taken, by a pair or by one that is about to be. */
  readonly #taken = new Set<number>();
  /** How often all that rested was closed. */
  #clearings = 0;
  #closed = false;
  #tidying: NodeJS.Timeout | undefined;

  /** `serials` numbers the pairs that are lent. */
  constructor(
    private readonly serials: Serials,
    private readonly listener: MediaListener,
  ) {}

  /** A free pair from `low` to `high`: one that has rested, or else the first from a random place on. */
  async lend(address: string, low: number, high: number): Promise<Lent | undefined> {
    const clearings = this.#clearings;
    let pair = this.#rested(address, low, high) ?? (await this.#open(address, low, high));
    if (!pair && (this.#resting.length > 0 || this.#clearings > clearings)) {
      // The ports, or the descriptors, that are wanted may be resting, or have rested when we looked.
      this.closeResting();
      pair = await this.#open(address, low, high);
    }
    if (!pair) return undefined;
    if (this.#closed) {
      this.#close(pair);
      return undefined;
    }
    const media = (pair.media = this.serials.next());
    this.#lent.set(media, pair);
    return { media, port: pair.port };
  }

  /** Sends a packet. One that finds no room is lost: waiting would make the next one late. */
  send({ lane, socket, address, port, bytes }: Packet): void {
    const pair = this.#lent.get(socket);
    // Nothing can be sent to port 0.
    if (!pair || port === 0) return;
    const from = lane === "rtcp" ? pair.rtcp : pair.rtp;
    if (queued(from).packets > 0) return;
    // A copy: if the system has no room now, it leaves when the telephone's memory holds something else.
    from.send(Buffer.from(bytes), port, address);
  }

  /** Takes a pair back. */
  release(media: number): void {
    const pair = this.#lent.get(media);
    if (!pair) return;
    this.#lent.delete(media);
    if (this.#resting.length >= MediaPorts.MOST) return this.#close(pair);
    Object.assign(pair, { media: undefined, disturbed: false, since: performance.now() });
    this.#resting.push(pair);
    this.#tidyLater();
  }

  /** Closes those that rest, whose address may not be ours any more. */
  closeResting(): void {
    this.#clearings += 1;
    for (const pair of this.#resting.splice(0)) this.#close(pair);
    clearTimeout(this.#tidying);
    this.#tidying = undefined;
  }

  close(): void {
    this.#closed = true;
    this.closeResting();
    for (const pair of this.#lent.values()) this.#close(pair);
    this.#lent.clear();
  }

  #rested(address: string, low: number, high: number): Pair | undefined {
    const before = performance.now() - MediaPorts.REST_MS;
    for (let pair = this.#resting[0]; pair && pair.since <= before; pair = this.#resting[0]) {
      this.#resting.shift();
      if (pair.address === address && low <= pair.port && pair.port < high && !pair.disturbed) return pair;
      this.#close(pair);
    }
    return undefined;
  }

  async #open(address: string, low: number, high: number): Promise<Pair | undefined> {
    const first = low + (low % 2);
    const count = Math.floor((high + 1 - first) / 2);
    if (count <= 0) return undefined;
    const start = randomInt(count);
    for (let i = 0; i < count; i += 1) {
      const port = first + ((start + i) % count) * 2;
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      const pair = await bindPair(address, port);
      if (pair) return this.#listen(pair);
      this.#taken.delete(port);
    }
    return undefined;
  }

  #listen(pair: Pair): Pair {
    for (const [rtcp, socket] of [[false, pair.rtp], [true, pair.rtcp]] as const) {
      socket.on("message", (bytes, from) => {
        if (pair.media === undefined) pair.disturbed = true;
        else this.listener(pair.media, rtcp, from.address, from.port, bytes);
      });
    }
    return pair;
  }

  #tidyLater(): void {
    const [oldest] = this.#resting;
    if (this.#tidying || !oldest) return;
    const tidy = () => {
      this.#tidying = undefined;
      const before = performance.now() - MediaPorts.KEPT_MS;
      while (this.#resting[0] && this.#resting[0].since <= before) this.#close(this.#resting.shift()!);
      this.#tidyLater();
    };
    const wait = oldest.since + MediaPorts.KEPT_MS - performance.now();
    // The process need not stay for this.
    this.#tidying = setTimeout(tidy, Math.max(Math.ceil(wait), 1)).unref();
  }

  #close(pair: Pair): void {
    pair.rtp.close();
    pair.rtcp.close();
    this.#taken.delete(pair.port);
  }
}

/** Sockets on a port and the next; `undefined` when one of them is not to be had. */
async function bindPair(address: string, port: number): Promise<Pair | undefined> {
  const rtp = await bindUdp(address, port, { receive: MediaPorts.BUFFER }).catch(() => undefined);
  // A report every few seconds needs no more room than the system gives.
  const rtcp = rtp && (await bindUdp(address, port + 1).catch(() => undefined));
  if (rtp && rtcp) return { address, port, rtp, rtcp, media: undefined, disturbed: false, since: 0 };
  rtp?.close();
  return undefined;
}
