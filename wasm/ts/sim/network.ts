// What stands between the nodes of a simulation.
import type { NaptrRecord, SrvRecord } from "../host.js";

/** The path from one address to another. Without anything it delivers everything, in order, after 1 ms. */
export interface LinkOptions {
  /** How long every packet takes, in milliseconds. Default 1. */
  readonly delay?: number;
  /** The most by which a packet takes longer, in milliseconds; the order stays. */
  readonly jitter?: number;
  /** How many of 1,000 packets are lost, each independently of the others. */
  readonly lossPermille?: number;
  /** Losses that come in bursts, besides those (Gilbert and Elliott). */
  readonly burst?: {
    /** Of 1,000 packets in the good state, how many find the link turned bad. */
    readonly enterPermille: number;
    /** Of 1,000 in the bad state, how many find it good again. */
    readonly leavePermille: number;
    /** How many of 1,000 are lost in the bad state. */
    readonly lossPermille: number;
  };
  /** How many of 1,000 packets arrive twice. */
  readonly duplicatePermille?: number;
  /** How many of 1,000 packets are held back so that later ones overtake them. */
  readonly reorderPermille?: number;
  /** The most by which one that is held back is late, in milliseconds. Default 30. */
  readonly reorderBy?: number;
}

/** A network address translator (RFC 4787). */
export interface NatOptions {
  /** Those behind it. */
  readonly inside: readonly string[];
  /** Its address on the outside. */
  readonly public: string;
  /**
   * Who may send to a port on its outside: everybody, a host that was sent something from it, a socket that was; or,
   * `symmetric`, there is a port for each peer, to which it alone may send.
   */
  readonly kind: "full-cone" | "restricted" | "port-restricted" | "symmetric";
  /** How long a mapping lasts after the last packet that left by it, in seconds. Default 30. */
  readonly lifetime?: number;
  /** Whether the port outside is that inside, where it is free. Default true, but for `symmetric`. */
  readonly preservesPorts?: boolean;
  /** Whether those inside reach each other at their addresses on the outside. Default false. */
  readonly hairpins?: boolean;
}

/** The DNS records of a name: its addresses, or more. */
export type NameRecords =
  | readonly string[]
  | {
      readonly addresses?: readonly string[];
      readonly srv?: readonly SrvRecord[];
      readonly naptr?: readonly NaptrRecord[];
    };

/** How names are answered. */
export interface NameServerOptions {
  /** For how many seconds records may be kept that are set from now on. Default 60. */
  readonly ttl?: number;
  /** How many milliseconds an answer takes. Default 0. */
  readonly delay?: number;
  /** Whether it fails: nobody learns whether there are records. */
  readonly failing?: boolean;
}
