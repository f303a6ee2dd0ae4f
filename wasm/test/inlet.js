// An inlet that keeps what a host says, for tests of hosts without a telephone.
import { EventEmitter, once } from "node:events";

const SAYINGS = [
  "datagram",
  "stream",
  "media",
  "flowOpened",
  "flowFailed",
  "flowAccepted",
  "flowClosed",
  "sendFailed",
  "mediaBound",
  "mediaUnavailable",
  "resolved",
  "resolveFailed",
];

/** Everything is kept as `[name, ...arguments]`; bytes as text. */
export class KeptInlet {
  said = [];
  #news = new EventEmitter();

  constructor() {
    for (const name of SAYINGS) {
      this[name] = (...values) => {
        const plain = values.map((value) =>
          value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value,
        );
        this.said.push([name, ...plain]);
        this.#news.emit("news");
      };
    }
  }

  /** Takes the next of that name; waits for it. */
  async next(name, fits = () => true) {
    for (;;) {
      const at = this.said.findIndex(([said, ...values]) => said === name && fits(...values));
      if (at >= 0) return this.said.splice(at, 1)[0].slice(1);
      await once(this.#news, "news");
    }
  }

  /** What has come of a stream or of media so far, as one text. */
  text(name) {
    return this.said.filter(([said]) => said === name).map((saying) => saying.at(-1)).join("");
  }
}

/** What a host needs, for tests. */
export const needs = (more = {}) => ({
  address: "127.0.0.1",
  port: 0,
  listen: ["UDP", "TCP"],
  tls: { insecure: false },
  dnsServers: [],
  websocketPath: "/",
  ...more,
});

/** Opens a host, and closes it after the test. */
export async function opened(t, Host, more) {
  const [host, inlet] = [new Host(), new KeptInlet()];
  const bound = await host.open(needs(more), inlet);
  t.after(() => host.close());
  const at = (transport, family = /^/) =>
    bound.listening.find((each) => each.transport === transport && family.test(each.address));
  return { host, inlet, bound, at };
}

/** A packet of signalling. */
export const sip = (socket, { address, port }, text) => ({
  lane: "sip",
  socket,
  address,
  port,
  bytes: Buffer.from(text, "latin1"),
});
