/** The path from one host to another. Times are milliseconds; permille are of 1,000 packets. */
export interface LinkParameters {
  /** How long every packet takes. Default 1. */
  delay?: number;
  /** The most by which one takes longer; the order stays. Default 0. */
  jitter?: number;
  /** How many are lost, each on its own. Default 0. */
  lossPermille?: number;
  /** Losses that come together, besides. */
  burst?: {
    /** Of those that find the link good, how many find it turned bad. */
    enterPermille: number;
    /** Of those that find it bad, how many find it good again. */
    leavePermille: number;
    /** How many are lost while it is bad. */
    lossPermille: number;
  };
  /** How many come twice. Default 0. */
  duplicatePermille?: number;
  /** How many are overtaken by later ones. Default 0. */
  reorderPermille?: number;
  /** The most by which those are late. Default 30. */
  reorderBy?: number;
}

/** What a network address translator does (RFC 4787). */
export interface NatParameters {
  /** Its address on the outside. */
  public: string;
  /** For whom a port outside is used again, and who may send to it. Default `port-restricted`. */
  kind?: "full-cone" | "restricted" | "port-restricted" | "symmetric";
  /** How long a mapping lasts after the last packet that left by it, in seconds. Default 30. */
  lifetime?: number;
  /** Whether the port outside is that inside, where it is free. Default true, but of `symmetric`. */
  preservesPorts?: boolean;
  /** Whether those inside reach each other by their addresses outside. Default false. */
  hairpins?: boolean;
}

/** A registrar and proxy. */
export interface ExchangeParameters {
  users?: readonly { name: string; password: string }[];
  /** The realm of the passwords, and its main domain. Default `offhook`. */
  realm?: string;
  /** Further names of it, besides the realm and its address. */
  domains?: readonly string[];
  /** The digest algorithms that it offers, the preferred first: MD5, SHA-256, SHA-512-256. Default MD5. */
  algorithms?: readonly string[];
  /** The shortest registration taken, in seconds. Default 10. */
  minExpires?: number;
  /** The longest given, in seconds. Default 3600. */
  maxExpires?: number;
  /** For what it listens. Default UDP and TCP. */
  transports?: readonly Transport[];
}

/** How the name server of a simulation answers. */
export interface NameServerParameters {
  /** How long records hold that are set from now on, in seconds. Default 60. */
  ttl?: number;
  /** How long an answer takes, in milliseconds. Default 0. */
  delay?: number;
  /** Whether every question fails. Default false. */
  failing?: boolean;
}

/** A message that came to a scripted peer. */
export interface PeerMessage {
  /** Its number, for `reply`. */
  id: number;
  /** When it came, in microseconds. */
  at: number;
  /** `IP:PORT`. */
  from: string;
  transport: Transport;
  bytes: Uint8Array;
}
