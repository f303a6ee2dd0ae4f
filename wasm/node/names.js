// What names lead to, by node:dns.
import { lookup, Resolver } from "node:dns/promises";

/** How long one DNS server may take, in milliseconds, and how often each is asked. */
const PATIENCE = { timeout: 1_500, tries: 2 };

/** What says that there is no such record. */
const NOTHING = ["ENODATA", "ENOTFOUND", "EBADNAME"];

/** Looks names up at `servers` ("192.0.2.53:53"), or without any at those of the system. */
export class Names {
  #resolver = new Resolver(PATIENCE);
  #named;

  constructor(servers) {
    this.#named = servers.length > 0;
    if (this.#named) this.#resolver.setServers(servers);
  }

  /** The records that the machine's request `resolve` asks for, and their TTL in seconds, if it is known. */
  async find({ kind, name }) {
    if (kind === "naptr") return { records: await orNothing(this.#resolver.resolveNaptr(name)) };
    if (kind === "srv") return { records: await orNothing(this.#resolver.resolveSrv(name)) };
    const found = this.#named ? await this.#addresses(name) : [];
    if (found.length > 0) {
      const ttl = Math.min(...found.map((record) => record.ttl));
      return { records: found.map(({ address }) => address), ttl };
    }
    // The system also knows its file of hosts, and may have other ways.
    const known = await orNothing(lookup(name, { all: true, verbatim: true }));
    return { records: known.map(({ address }) => address) };
  }

  async #addresses(name) {
    const ttl = { ttl: true };
    const both = [this.#resolver.resolve6(name, ttl), this.#resolver.resolve4(name, ttl)];
    return (await Promise.all(both.map(orNothing))).flat();
  }

  /** Ends what is under way. */
  close() {
    this.#resolver.cancel();
  }
}

async function orNothing(asked) {
  try {
    return await asked;
  } catch (error) {
    if (NOTHING.includes(error.code)) return [];
    throw error;
  }
}
