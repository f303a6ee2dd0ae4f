// A peer that says what a test wants it to say.
import type { Transport } from "../host.js";
import type { Peer as SimulatedPeer, PeerMessage } from "../sim_glue.js";
import type { Turn } from "./driver.js";

/** A message that came to a peer. */
export class Arrival {
  /** `IP:PORT` of the sender. */
  readonly from: string;
  readonly transport: Transport;
  readonly bytes: Uint8Array;
  readonly #number: number;

  /** @internal `at` is when, in milliseconds of virtual time. */
  constructor(
    { id, from, transport, bytes }: PeerMessage,
    readonly at: number,
  ) {
    this.#number = id;
    this.from = from;
    this.transport = transport;
    this.bytes = bytes;
  }

  /** @internal */
  static numberOf(arrival: Arrival): number {
    return arrival.#number;
  }

  /** The bytes as text; what is no UTF-8 is replaced. */
  get text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** The request or status line. */
  get firstLine(): string {
    return this.text.split("\r\n", 1)[0] ?? "";
  }

  /** The method of a request, or the status code of a response. */
  get what(): string {
    const [first = "", second = ""] = this.firstLine.split(" ");
    return first.startsWith("SIP/") ? second : first;
  }

  /** The value of the first header field of that name, in any case; not of its compact form. */
  header(name: string): string | undefined {
    const [head = ""] = this.text.split("\r\n\r\n", 1);
    for (const line of head.split("\r\n").slice(1)) {
      const colon = line.indexOf(":");
      if (line.slice(0, colon).trim().toLowerCase() === name.toLowerCase()) return line.slice(colon + 1).trim();
    }
    return undefined;
  }

  /** What follows the header fields. */
  get body(): string {
    const text = this.text;
    const at = text.indexOf("\r\n\r\n");
    return at < 0 ? "" : text.slice(at + 4);
  }
}

/** How many messages a peer keeps; older ones are forgotten. */
const KEPT = 100_000;

/** Is called with each message that comes to a peer: it may send and reply. */
export type Reaction = (message: Arrival, peer: ScriptedPeer) => void;

/**
 * A node without any behaviour of its own: it sends the text that it is given, keeps what comes, and answers as
 * a function says.
 */
export class ScriptedPeer {
  /** All that came, oldest first. */
  readonly received: Arrival[] = [];
  readonly #peer: SimulatedPeer;
  readonly #turn: Turn;
  readonly #now: () => number;
  readonly #react: Reaction | undefined;

  /** @internal `address` is where it is. */
  constructor(
    peer: SimulatedPeer,
    readonly address: string,
    { turn, now }: { turn: Turn; now: () => number },
    react: Reaction | undefined,
  ) {
    this.#peer = peer;
    this.#turn = turn;
    this.#now = now;
    this.#react = react;
  }

  /**
   * Sends a message, to `IP:PORT`. A text whose lines end in LF alone gets CRLF. Over a connection it leaves on the
   * one that is open, or else on a new one.
   */
  send(to: string, text: string, transport: Transport = "UDP"): void {
    this.#turn.take(() => this.#peer.send(to, text, transport));
  }

  /** Sends bytes as they are. */
  sendBytes(to: string, bytes: Uint8Array, transport: Transport = "UDP"): void {
    this.#turn.take(() => this.#peer.sendBytes(to, bytes, transport));
  }

  /**
   * Answers a request, as RFC 3261 §8.2.6 says: `status` is `180 Ringing`, `more` are header lines, each ended by a
   * line feed, and perhaps an empty line and a body. Only the last 1,000 messages can be answered.
   */
  reply(request: Arrival, status: string, more = ""): void {
    this.#turn.take(() => this.#peer.reply(Arrival.numberOf(request), status, more));
  }

  /** The last message of a method or status code. */
  last(what: string | number): Arrival | undefined {
    return this.received.filter((message) => message.what === String(what)).at(-1);
  }

  /** @internal Takes what came. Whether anything did. */
  tell(): boolean {
    let wasTold = false;
    for (let next; (next = this.#turn.take(() => this.#peer.next())); wasTold = true) {
      const message = new Arrival(next, this.#now());
      this.received.push(message);
      if (this.received.length > KEPT) this.received.shift();
      this.#react?.(message, this);
    }
    return wasTold;
  }
}
