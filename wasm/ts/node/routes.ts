// Which of our addresses the route to a peer has.
import { isIPv6 } from "node:net";
import { connectUdp } from "./udp.js";

/** Any port but 0 will do: a socket that is connected has the address of the route, and sends nothing. */
const DISCARD = 9;

/** Whether an address means every interface. */
export const isUnspecified = (address: string): boolean => address === "0.0.0.0" || address === "::";

/** The addresses of the routes that were asked for lately. */
export class Routes {
  /** Interfaces come and go: an older route is looked up again. */
  static readonly FRESH_MS = 30_000;
  /** How many peers are kept in mind. */
  static readonly MOST = 4_096;

  readonly #known = new Map<string, { local: string; since: number }>();

  /** The address from which a packet to `peer` leaves a socket bound to `bound`. Rejects where none leads there. */
  async local(bound: string, peer: string): Promise<string> {
    if (!isUnspecified(bound)) return bound;
    const now = performance.now();
    const known = this.#known.get(peer);
    if (known && now - known.since < Routes.FRESH_MS) return known.local;
    const probe = await connectUdp(isIPv6(peer) ? "::" : "0.0.0.0", { address: peer, port: DISCARD });
    const local = probe.address().address;
    probe.close();
    if (isUnspecified(local)) throw new Error("there is no route");
    if (this.#known.size >= Routes.MOST) this.#known.clear();
    this.#known.set(peer, { local, since: now });
    return local;
  }

  /** Forgets them, because the network has changed. */
  forget(): void {
    this.#known.clear();
  }
}
