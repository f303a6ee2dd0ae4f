// Machines on a network in memory and in virtual time: what a host does, without sockets.
import { getRandomValues } from "node:crypto";
import { readFileSync } from "node:fs";
import { TRANSPORTS, flowNumber, flowTransport } from "../dist/host.js";
import { Machine, initSync } from "../dist/offhook_wasm.js";

const { memory } = initSync({
  module: readFileSync(new URL("../dist/offhook.wasm", import.meta.url)),
});
const WALL = 1_767_225_600_000_000;
const HEAD = 28;
const LANES = ["sip", "rtp", "rtcp"];

/** A network on which nothing is lost and nothing takes time. */
export class Wire {
  now = 1_000_000;
  stations = new Map();
  under = [];

  station(address, certificate) {
    const station = new Station(this, address, certificate);
    this.stations.set(address, station);
    return station;
  }

  /** Lets everything happen that needs no time. */
  settle() {
    for (let busy = true; busy; ) {
      busy = false;
      for (const station of this.stations.values()) busy = station.work() || busy;
      for (const arrive of this.under.splice(0)) {
        arrive();
        busy = true;
      }
    }
  }

  /** Lets time go by, with all that is due. */
  run(ms) {
    const end = this.now + ms * 1_000;
    for (;;) {
      this.settle();
      const next = [...this.stations.values()].map(({ machine }) => machine.nextDeadline());
      const at = Math.min(...next);
      if (at > end) break;
      this.now = Math.max(this.now, at);
    }
    this.now = end;
  }
}

/** A machine and its sockets. */
export class Station {
  machine = new Machine((bytes) => getRandomValues(bytes));
  events = [];
  requests = [];
  sent = [];
  #serial = 1;
  /** The other end of each connection. */
  #ends = new Map();
  #media = new Map();

  constructor(wire, address, certificate) {
    this.wire = wire;
    this.address = address;
    this.certificate = certificate;
  }

  /** Adds an account and starts it; its line. */
  phone(parameters, handler) {
    const line = this.machine.add(parameters, handler);
    this.machine.start(line);
    this.wire.settle();
    return line;
  }

  /** The first event of that type, which is taken away. */
  take(type) {
    const index = this.events.findIndex((event) => event.type === type);
    return index < 0 ? undefined : this.events.splice(index, 1)[0];
  }

  /** Does what the machine wants; whether there was anything. */
  work() {
    const { machine, wire } = this;
    let busy = false;
    while (machine.nextDeadline() <= wire.now) {
      machine.handleDeadline(wire.now, WALL + wire.now);
      busy = true;
    }
    busy = this.#packets() || busy;
    for (let request; (request = machine.nextRequest()); busy = true) this.#answer(request);
    for (let event; (event = machine.nextEvent()); busy = true) {
      this.seen?.(event);
      this.events.push(event);
    }
    return busy;
  }

  #packets() {
    const [at, length] = [this.machine.packetsAt(), this.machine.packetsLength()];
    const view = new DataView(memory.buffer, at, length);
    for (let offset = 0; offset < length; ) {
      const size = view.getUint32(offset, true);
      const socket = view.getUint32(offset + 4, true);
      const lane = LANES[view.getUint8(offset + 8)];
      const port = view.getUint16(offset + 10, true);
      const ip = new Uint8Array(memory.buffer, at + offset + 12, 4).join(".");
      const bytes = new Uint8Array(memory.buffer, at + offset + HEAD, size).slice();
      this.sent.push({ lane, socket, address: ip, port, bytes });
      this.wire.under.push(() => this.#deliver(lane, socket, ip, port, bytes));
      offset += HEAD + size;
    }
    this.machine.packetsTaken();
    return length > 0;
  }

  #deliver(lane, socket, ip, port, bytes) {
    const { wire, address } = this;
    const end = this.#ends.get(socket);
    const there = wire.stations.get(ip);
    if (lane !== "sip") {
      const media = [...(there?.#media ?? [])].find(([, low]) => low === port - (port % 2))?.[0];
      const from = this.#media.get(socket) + (lane === "rtcp" ? 1 : 0);
      if (media) there.machine.handleMedia(wire.now, media, lane === "rtcp", address, from, bytes);
    } else if (flowTransport(socket) === "UDP") {
      there?.machine.handleDatagram(wire.now, 0, address, 5060, bytes);
    } else if (end) {
      const { machine } = end.station;
      const take = /^T/.test(flowTransport(socket)) ? machine.handleStream : machine.handleDatagram;
      // A stream is cut anywhere.
      const half = take === machine.handleStream ? bytes.length >> 1 : 0;
      if (half) take.call(machine, wire.now, end.flow, address, 5060, bytes.subarray(0, half));
      take.call(machine, wire.now, end.flow, address, 5060, bytes.subarray(half));
    }
  }

  #answer(request) {
    this.requests.push(request);
    const { machine, wire, address } = this;
    switch (request.type) {
      case "openFlow":
        return this.#open(request);
      case "bindMedia": {
        const media = this.#serial++;
        const port = 10_000 + 2 * media;
        this.#media.set(media, port);
        return machine.mediaBound(wire.now, request.id, media, address, port, port + 1);
      }
      case "releaseMedia":
        return this.#media.delete(request.media);
      case "closeFlow":
        return this.close(request.flow);
      case "resolve":
        return machine.resolved(wire.now, request.id, request.kind, wire.names?.[request.name] ?? []);
      case "rebind":
        return undefined;
      default:
        throw new Error(`there is no request ${request.type}`);
    }
  }

  #open({ id, transport, address: ip }) {
    const { machine, wire, address } = this;
    if (transport === "UDP") return machine.flowOpened(wire.now, id, 0, address, 5060);
    const there = wire.stations.get(ip);
    if (!TRANSPORTS.includes(transport)) throw new Error(transport);
    if (!there) return machine.flowFailed(wire.now, id, "unreachable", "connection refused");
    const [mine, theirs] = [this, there].map((station) => {
      return flowNumber(transport, station.#serial++);
    });
    this.#ends.set(mine, { station: there, flow: theirs });
    there.#ends.set(theirs, { station: this, flow: mine });
    const named = ["TLS", "WSS"].includes(transport) ? there.certificate : undefined;
    there.machine.flowAccepted(wire.now, theirs, address, 40_000, ip, 5060);
    return machine.flowOpened(wire.now, id, mine, address, 5060, named);
  }

  /** Ends a connection, which both ends see. */
  close(flow) {
    const end = this.#ends.get(flow);
    this.#ends.delete(flow);
    this.machine.flowClosed(this.wire.now, flow);
    if (end?.station.#ends.has(end.flow)) end.station.close(end.flow);
  }

  /** The connections that are open. */
  get connections() {
    return [...this.#ends.keys()];
  }
}
