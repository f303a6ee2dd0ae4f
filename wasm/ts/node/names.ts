// What names lead to: the hosts file, DNS, and what else the system knows.
//
// Nothing is cached here: the telephone keeps answers for their TTL.
import { lookup, Resolver } from "node:dns/promises";
import type { NameRequest, NaptrRecord, SrvRecord } from "../host.js";
import { hostsNamed } from "./hosts.js";

/** How long one DNS server may take, in milliseconds, and how often each is asked. */
const PATIENCE = { timeout: 1_500, tries: 2 };

/** What says that there is no such record. */
const NOTHING = ["ENODATA", "ENOTFOUND", "EBADNAME"];

/** The records of a lookup, and their TTL in seconds where it is known. */
export type Found =
  | { readonly kind: "naptr"; readonly records: readonly NaptrRecord[]; readonly ttl?: number }
  | { readonly kind: "srv"; readonly records: readonly SrvRecord[]; readonly ttl?: number }
  | { readonly kind: "addresses"; readonly records: readonly string[]; readonly ttl?: number };

/** Looks names up at `servers` ("192.0.2.53:53"), or without any at those of the system. */
export class Names {
  #resolver: Resolver;
  /** What it was before the network changed: its questions may still be answered. */
  #previous: Resolver | undefined;

  constructor(private readonly servers: readonly string[]) {
    this.#resolver = this.#make();
  }

  /** Rejects with an error whose message ends a sentence. */
  async find({ kind, name }: Omit<NameRequest, "id">): Promise<Found> {
    try {
      if (kind === "naptr") return { kind, records: await orNone(this.#resolver.resolveNaptr(name)) };
      if (kind === "srv") return { kind, records: await orNone(this.#resolver.resolveSrv(name)) };
      return await this.#addresses(name);
    } catch (error) {
      throw new Error(problem(error as NodeJS.ErrnoException), { cause: error });
    }
  }

  /** Asks the system anew for its servers, because the network has changed. */
  renew(): void {
    this.#previous?.cancel();
    this.#previous = this.#resolver;
    this.#resolver = this.#make();
  }

  /** Ends what is under way. */
  close(): void {
    this.#previous?.cancel();
    this.#resolver.cancel();
  }

  #make(): Resolver {
    const resolver = new Resolver(PATIENCE);
    if (this.servers.length > 0) resolver.setServers(this.servers);
    return resolver;
  }

  /** AAAA and then A, as RFC 6724 §2.1 prefers them. */
  async #addresses(name: string): Promise<Found> {
    const kind = "addresses";
    const here = await hostsNamed(name);
    if (here.length > 0) return { kind, records: here };
    const ttl = { ttl: true } as const;
    const asked = [this.#resolver.resolve6(name, ttl), this.#resolver.resolve4(name, ttl)];
    const found = (await Promise.all(asked.map(orNone))).flat();
    if (found.length > 0) {
      const records = found.map(({ address }) => address);
      return { kind, records, ttl: Math.min(...found.map((record) => record.ttl)) };
    }
    if (this.servers.length > 0) return { kind, records: [] };
    // Such as by multicast (RFC 6762), from a directory, or in the domains where it looks for short names.
    const known = await orNone(lookup(name, { all: true, verbatim: true }));
    return { kind, records: known.map(({ address }) => address) };
  }
}

async function orNone<T>(asked: Promise<T[]>): Promise<T[]> {
  try {
    return await asked;
  } catch (error) {
    if (NOTHING.includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}

function problem({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case "ETIMEOUT":
      return "no DNS server has answered in time";
    case "ESERVFAIL":
      return "the DNS server says: Server Failure";
    case "EREFUSED":
      return "the DNS server says: Query Refused";
    case "ENOTIMP":
      return "the DNS server says: Not Implemented";
    case "EFORMERR":
      return "the DNS server says: Form Error";
    default:
      return `no DNS server could be asked: ${message}`;
  }
}
