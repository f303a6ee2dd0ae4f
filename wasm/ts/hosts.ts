// The host of those who name none.
import { OffhookError } from "./errors.js";
import type { Host } from "./host.js";

let make: (() => Host) | undefined;

/** Says which host a phone runs on that is given none. */
export function setDefaultHost(host: () => Host): void {
  make = host;
}

/** A new host of that kind. Throws `no_host` where there is none. */
export function defaultHost(): Host {
  if (make) return make();
  const message = "a phone needs a host here, which has its sockets: new Phone({ host, ... })";
  throw new OffhookError("no_host", message);
}
