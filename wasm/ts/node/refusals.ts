// Whether the network refuses what a UDP socket sends: an ICMP error says that nobody listens there, and
// a call ends at once where it would otherwise ring for half a minute (RFC 3261 §18.4).
//
// The system tells such errors to sockets that are connected to one peer, and to others only by an
// option that Node does not have. So where a second datagram goes out and nothing has come back since the
// first, a connected socket knocks there: with an empty line, which SIP ignores (RFC 3261 §7.5).
import type { Socket } from "node:dgram";
import type { Address } from "../host.js";
import { connectUdp } from "./udp.js";

const EMPTY_LINE = Buffer.from("\r\n");

/** What says that a datagram has come to nobody. */
const REFUSED = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EACCES"];

/** The destinations of one socket from which nothing has come yet. */
export class Refusals {
  /** How many are kept in mind. */
  static readonly MOST = 1_024;
  /** Within what time the second datagram has to follow: the first retransmissions of a request do. */
  static readonly SOON_MS = 5_000;
  /** How long the network has to answer a knock. */
  static readonly ANSWER_MS = 1_000;

  /** Since when each is sent to, and whether it is being knocked at; oldest first. */
  readonly #silent = new Map<string, { since: number; knocked: boolean }>();
  readonly #knocking = new Set<Socket>();
  #closed = false;

  constructor(
    private readonly local: string,
    private readonly refused: (to: Address) => void,
  ) {}

  /** A datagram leaves. */
  sent(address: string, port: number): void {
    const key = `${address} ${port}`;
    const now = performance.now();
    const before = this.#silent.get(key);
    if (before?.knocked) return;
    if (before && now - before.since <= Refusals.SOON_MS) {
      before.knocked = true;
      void this.#knock(key, { address, port });
      return;
    }
    this.#silent.delete(key);
    this.#silent.set(key, { since: now, knocked: false });
    const [oldest] = this.#silent.keys();
    if (this.#silent.size > Refusals.MOST && oldest) this.#silent.delete(oldest);
  }

  /** Something has come from there. */
  heard(from: Address): void {
    if (this.#silent.size > 0) this.#silent.delete(`${from.address} ${from.port}`);
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#knocking) socket.close();
    this.#knocking.clear();
  }

  async #knock(key: string, to: Address): Promise<void> {
    let socket: Socket;
    try {
      socket = await connectUdp(this.local, to);
    } catch {
      this.#silent.delete(key);
      return;
    }
    if (this.#closed) {
      socket.close();
      return;
    }
    this.#knocking.add(socket);
    const end = () => {
      clearTimeout(timer);
      this.#silent.delete(key);
      if (this.#knocking.delete(socket)) socket.close();
    };
    const timer = setTimeout(end, Refusals.ANSWER_MS).unref();
    const fail = (error: NodeJS.ErrnoException | null) => {
      if (!error || this.#closed) return;
      end();
      if (REFUSED.includes(error.code ?? "")) this.refused(to);
    };
    socket.on("error", fail);
    socket.send(EMPTY_LINE, fail);
  }
}
