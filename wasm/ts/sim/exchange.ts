// An exchange on the network of a simulation.
import type { Transport } from "../host.js";

/** What an exchange is made with. */
export interface ExchangeOptions {
  /** Its users and their passwords. */
  readonly users: Readonly<Record<string, string>>;
  /** The realm of the passwords, and its main domain. Default `offhook`. */
  readonly realm?: string;
  /** Further domains that it serves, besides its address. */
  readonly domains?: readonly string[];
  /** The digest algorithms, the preferred first. Default `["MD5"]`. */
  readonly algorithms?: readonly string[];
  /** The shortest registration that it takes, in seconds. Default 10. */
  readonly minExpires?: number;
  /** The longest that it gives, in seconds. Default an hour. */
  readonly maxExpires?: number;
  /** How it can be reached. Default UDP and TCP. */
  readonly transports?: readonly Transport[];
}

/** A registrar and proxy, as `offhook exchange`. */
export class Exchange {
  readonly #contacts: (user: string) => string[] | undefined;

  /** @internal */
  constructor(
    /** Where it is. */
    readonly address: string,
    contacts: (user: string) => string[] | undefined,
  ) {
    this.#contacts = contacts;
  }

  /** The URIs at which a user is registered now; `undefined` when there is no such user. */
  contacts(user: string): string[] | undefined {
    return this.#contacts(user);
  }
}
