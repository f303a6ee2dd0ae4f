// A telephone over node:dgram. `cargo xtask wasm` builds ../dist.
import { webcrypto } from "node:crypto";
import { createSocket } from "node:dgram";
import { lookup as lookupName } from "node:dns";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isIP, isIPv6 } from "node:net";
import { initSync, readWav, Softphone } from "../dist/offhook_wasm.js";
import { now, Telephone } from "../js/telephone.js";
import { Names } from "./names.js";

const module = readFileSync(new URL("../dist/offhook.wasm", import.meta.url));
const { memory } = initSync({ module });

export { readWav };

/** A telephone: `new Phone({ server, user, password })`. dist/offhook_wasm.d.ts has the types. */
export class Phone extends Telephone {
  #sip;
  #names;
  /** Where it is bound, also while it is bound anew. */
  #local;
  /** Resolves when it is. */
  #bound;
  /** The RTP and RTCP socket of each media port. */
  #media = new Map();
  #mediaPorts = 0;

  constructor(parameters) {
    super(new Softphone(parameters, (bytes) => webcrypto.getRandomValues(bytes)), memory);
  }

  /** The address and port that are bound: of a phone that was started. */
  get local() {
    return this.#local;
  }

  /** A WAV: its bytes, or the path or URL of its file. */
  async load(wav) {
    return readWav(wav instanceof Uint8Array ? wav : await readFile(wav));
  }

  async open(address, port) {
    await this.#bindSip(address, port);
    this.#local = this.#sip.address();
  }

  async #bindSip(address, port) {
    this.#sip = await bind(address, port);
    // Another network may have other DNS servers.
    this.#names?.close();
    this.#names = new Names(this.machine.dnsServers);
    this.#sip.on("message", (bytes, from) =>
      this.cross((machine) => machine.handleDatagram(now(), 0, from.address, from.port, bytes)),
    );
  }

  /** Closes the socket and binds another in its place. Media moves by new ports of its own. */
  async #rebind() {
    const local = this.#local;
    this.#sip?.close();
    this.#sip = undefined;
    await this.#bindSip(local.address, local.port);
    // It was stopped meanwhile.
    if (this.#local === local) return;
    this.close();
  }

  close() {
    for (const socket of [...this.#media.values()].flat()) socket.close();
    this.#media.clear();
    this.#sip?.close();
    this.#sip = undefined;
    this.#names?.close();
    this.#local = undefined;
  }

  send({ lane, socket, address, port, bytes }) {
    const from = lane === 0 ? this.#sip : this.#media.get(socket)?.[lane - 1];
    // A copy: dgram may send it when the machine's memory holds something else.
    from?.send(Buffer.from(bytes), port, address, (error) => {
      if (!error || lane !== 0) return;
      this.cross((machine) => machine.sendFailed(now(), 0, address, port));
    });
  }

  async fulfil(request) {
    const { type, id } = request;
    if (type === "releaseMedia") {
      this.#media.get(request.media)?.forEach((socket) => socket.close());
      this.#media.delete(request.media);
    } else if (type === "resolve") {
      const names = this.#names;
      const answer = await names.find(request).catch((error) => ({ problem: error.message }));
      const { records, ttl, problem } = answer;
      this.cross((machine) =>
        records
          ? machine.resolved(now(), id, request.kind, records, ttl)
          : machine.resolveFailed(now(), id, problem),
      );
    } else if (type === "rebind") {
      // What is lost meanwhile is sent again, and a port that cannot be had now is tried again.
      this.#bound = this.#rebind().catch(() => {});
    } else if (type === "openFlow" && request.transport !== "UDP") {
      this.cross((machine) => machine.flowUnsupported(now(), id));
    } else if (type === "openFlow") {
      await this.#bound;
      if (!this.#local) return;
      if (!this.#sip) this.#bound = this.#rebind().catch(() => {});
      await this.#bound;
      if (!this.#sip) return this.cross((machine) => machine.flowFailed(now(), id));
      const { address, port } = this.local;
      const local = await towards(address, request.address).catch(() => undefined);
      this.cross((machine) =>
        local
          ? machine.flowOpened(now(), id, 0, local, port)
          : machine.flowFailed(now(), id),
      );
    } else if (type === "bindMedia") {
      const bound = await this.#bindMedia(request).catch(() => undefined);
      this.cross((machine) =>
        bound
          ? machine.mediaBound(now(), id, bound.media, bound.address, bound.port, bound.port + 1)
          : machine.mediaUnavailable(now(), id),
      );
    }
  }

  async #bindMedia({ toward, low, high }) {
    const { address } = this.#local;
    const shown = await towards(address, toward);
    for (let port = low + (low % 2); port < high; port += 2) {
      const pair = await bindPair(address, port);
      if (!pair) continue;
      if (!this.#local) return pair.forEach((socket) => socket.close());
      const media = (this.#mediaPorts += 1);
      this.#media.set(media, pair);
      pair.forEach((socket, lane) =>
        socket.on("message", (bytes, from) =>
          this.cross((machine) =>
            machine.handleMedia(now(), media, lane === 1, from.address, from.port, bytes),
          ),
        ),
      );
      return { media, address: shown, port };
    }
    return undefined;
  }
}

/** A socket bound to an address. */
async function bind(address, port) {
  const socket = createSocket({ type: isIPv6(address) ? "udp6" : "udp4", lookup: lookupAtOnce });
  const listening = once(socket, "listening");
  try {
    socket.bind({ address, port, exclusive: true });
    await listening;
  } catch (error) {
    // It has its descriptor already.
    socket.close();
    throw error;
  }
  // What comes back from the network later is told of each packet.
  socket.on("error", () => {});
  return socket;
}

/** An address is itself: a packet leaves before whatever is done next, such as to close its socket. */
function lookupAtOnce(name, options, callback) {
  const family = isIP(name);
  if (family) callback(null, name, family);
  else lookupName(name, options, callback);
}

/** Sockets on a port and the next; `undefined` when one of them is taken. */
async function bindPair(address, port) {
  const rtp = await bind(address, port).catch(() => undefined);
  const rtcp = rtp && (await bind(address, port + 1).catch(() => void rtp.close()));
  return rtcp && [rtp, rtcp];
}

/** Our own address as a peer sees it: the one bound, or that of the route to the peer. */
async function towards(bound, peer) {
  if (bound !== "0.0.0.0" && bound !== "::") return bound;
  const probe = await bind(isIPv6(peer) ? "::" : "0.0.0.0", 0);
  try {
    // Port 9 is `discard`; nothing is sent.
    probe.connect(9, peer);
    await once(probe, "connect");
    return probe.address().address;
  } finally {
    probe.close();
  }
}
