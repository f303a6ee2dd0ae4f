// The types have `Disposable`, which a project's own settings may lack.
/// <reference lib="esnext.disposable" preserve="true" />

// A network of phones in virtual time.
import type { Call } from "../call.js";
import { OffhookError } from "../errors.js";
import type { Address, Host, Identities, Transport } from "../host.js";
import { Phone, type AccountOptions } from "../phone.js";
import { Simulation as Network, type Machine } from "../sim_glue.js";
import type { WaitOptions } from "../waiting.js";
import { Clock } from "./clock.js";
import { SimDriver, Turn, type Capturing } from "./driver.js";
import { Exchange, type ExchangeOptions } from "./exchange.js";
import { files } from "./files.js";
import { simulation } from "./module.js";
import type { LinkOptions, NameRecords, NameServerOptions, NatOptions } from "./network.js";
import { ScriptedPeer, type Reaction } from "./peer.js";

/** The port of those whose address says none. */
const SIP_PORT = 5060;

/** How long `until` waits, in milliseconds of virtual time, unless it is said: an hour. */
const LIMIT = 3_600_000;

/** What a simulation is made with. */
export interface SimulationOptions {
  /**
   * What everything follows from that happens by chance: losses, delays, the identifiers of phones. A run that failed
   * can be run again. Default 1.
   */
  readonly seed?: number | bigint;
}

/** How long `until` waits. */
export interface UntilOptions {
  /** In milliseconds of virtual time. Default an hour. */
  readonly limit?: number;
}

/**
 * A network in virtual time, with phones, exchanges and scripted peers on it. Each is at an address, `"10.0.0.1"` (port
 * 5060) or `"10.0.0.1:5070"`, by which it is named later.
 *
 * ```js
 * const sim = new Simulation({ seed: 7 });
 * sim.exchange("10.0.0.1", { users: { alice: "a", bob: "b" } });
 * const alice = sim.phone("10.0.0.2", { server: "10.0.0.1", user: "alice", password: "a" });
 * await sim.until(alice.start());
 * ```
 *
 * Time passes in {@link run} and {@link until} alone, and only when nobody has anything to do any more: a promise that
 * something has settled goes on at that very instant. So an hour of calls takes a moment, and nothing that is tested
 * depends on how fast the machine is. What is outside of the simulation (timers, files, sockets) it does not know: sleep
 * by {@link sleep}, and wait for the rest by {@link outside}.
 */
export class Simulation implements Disposable {
  readonly #made: Network;
  readonly #began: number;
  readonly #turn = new Turn();
  readonly #clock: Clock;
  readonly #files: Pick<Host, "load" | "create">;
  readonly #nodes: { tell(): boolean }[] = [];
  readonly #drivers = new Map<string, SimDriver>();
  readonly #capturing: Capturing;
  /** The nodes whose phone could not be made. */
  readonly #vacant = new Map<string, Machine>();

  /** A network on which there is nothing yet. Throws `not_loaded` before the module is. */
  constructor({ seed = 1 }: SimulationOptions = {}) {
    void simulation.memory;
    this.#made = new Network(BigInt(seed));
    this.#began = this.#network.now();
    this.#clock = new Clock({
      now: () => this.#network.now(),
      nextAt: () => this.#network.nextAt(),
      step: () => this.#step(),
      advance: (to) => this.#network.advance(to),
    });
    // It is kept from the beginning, for all; a bound is set by `record`.
    this.#capturing = {
      capture: () => {},
      missed: () => 0,
      nameAddress: (address, port, name) => this.#network.nameAddress(address, port, name),
      ladder: () => this.#network.ladder(),
      svg: () => this.#network.svg(),
      pcap: () => this.#network.pcap(),
    };
    this.#files = files((work) => this.#clock.outside(work));
  }

  // --- what is on it; each throws `invalid_value` where something is at that address already ---

  /** A phone: the same class as everywhere. Its `capture` is the record of the whole network. */
  phone<C extends Call = Call>(address: string, options: AccountOptions<C>): Phone<C> {
    const machine = this.#vacant.get(address) ?? this.#do((network) => network.machine(address));
    this.#vacant.set(address, machine);
    const around = {
      turn: this.#turn,
      now: () => this.#network.now(),
      files: this.#files,
      capturing: this.#capturing,
    };
    const driver = new SimDriver(machine, placeOf(address), around);
    const phone = new Phone<C>(options, driver);
    this.#vacant.delete(address);
    this.#nodes.push(driver);
    this.#drivers.set(address, driver);
    return phone;
  }

  /** A registrar and proxy, as `offhook exchange`. */
  exchange(address: string, { users, domains, algorithms, transports, ...more }: ExchangeOptions): Exchange {
    const parameters = {
      ...more,
      users: Object.entries(users).map(([name, password]) => ({ name, password })),
      ...(domains && { domains: [...domains] }),
      ...(algorithms && { algorithms: [...algorithms] }),
      ...(transports && { transports: [...transports] }),
    };
    this.#do((network) => network.exchange(address, parameters));
    return new Exchange(address, (user) => this.#do((network) => network.contacts(address, user)));
  }

  /** A peer that sends what it is given, and answers as a function says. */
  peer(address: string, react?: Reaction): ScriptedPeer {
    const made = this.#do((network) => network.peer(address));
    const around = { turn: this.#turn, now: () => this.now };
    const peer = new ScriptedPeer(made, address, around, react);
    this.#nodes.push(peer);
    return peer;
  }

  /** Ends one of them without a farewell, as a machine that lost its power. */
  kill(address: string): void {
    this.#do((network) => network.kill(address));
  }

  /** One of them does nothing for so many milliseconds, as a process that is stopped. */
  stall(address: string, ms: number): void {
    this.#do((network) => network.stall(address, ms));
  }

  /**
   * Gives a phone another IP address, by which it is named from now on; it keeps its port. The phone does not notice:
   * see `networkChanged`.
   */
  move(address: string, ip: string): void {
    const driver = this.#drivers.get(address);
    if (!driver) throw new OffhookError("invalid_value", `address "${address}" cannot be moved: no phone is there`);
    this.#do((network) => network.move(address, ip));
    const { port } = placeOf(address);
    const name = port === SIP_PORT ? ip : `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
    driver.moved(placeOf(name));
    this.#drivers.delete(address);
    this.#drivers.set(name, driver);
  }

  /** Its clock runs fast, or, below zero, slow, by so many millionths. */
  drift(address: string, ppm: number): void {
    this.#do((network) => network.drift(address, ppm));
  }

  // --- the network, between IP addresses ---

  /** How packets get from one to the other, and back. */
  link(a: string, b: string, options: LinkOptions): void {
    this.#do((network) => network.link(a, b, options));
  }

  /** How they get from one to the other, and not back. */
  linkOneWay(from: string, to: string, options: LinkOptions): void {
    this.#do((network) => network.linkOneWay(from, to, options));
  }

  /** How they get where nothing else was said. */
  defaultLink(options: LinkOptions): void {
    this.#do((network) => network.setDefaultLink(options));
  }

  /** No packet gets from one to the other any more, nor back. */
  partition(a: string, b: string): void {
    this.#do((network) => network.partition(a, b));
  }

  /** They reach each other again. */
  heal(a: string, b: string): void {
    this.#do((network) => network.heal(a, b));
  }

  /** Puts a network address translator before some addresses. */
  nat({ inside, ...nat }: NatOptions): void {
    this.#do((network) => network.nat([...inside], nat));
  }

  /** Takes it away again. */
  removeNat(inside: readonly string[]): void {
    this.#do((network) => network.removeNat([...inside]));
  }

  /** Whether hosts report (ICMP) messages to ports where nobody listens. Off at first. */
  unreachableReports(on: boolean): void {
    this.#do((network) => network.unreachableReports(on));
  }

  // --- names ---

  /** What DNS says of a name, in place of what it said before. */
  name(name: string, records: NameRecords): void {
    const { addresses, srv, naptr } = "length" in records ? { addresses: records } : records;
    this.#do((network) => {
      if (addresses) network.setName(name, [...addresses]);
      if (srv) network.setSrv(name, [...srv]);
      if (naptr) network.setNaptr(name, [...naptr]);
    });
  }

  /** How names are answered. */
  nameServer(options: NameServerOptions): void {
    this.#do((network) => network.setNameServer(options));
  }

  // --- connections ---

  /** Cuts all connections between two of them, as both see. */
  cut(a: string, b: string): void {
    this.#do((network) => network.cut(a, b));
  }

  /** Whether one of them takes connections of a transport. At first it does. */
  listening(address: string, transport: Transport, listens: boolean): void {
    this.#do((network) => network.listening(address, transport, listens));
  }

  /** Whom the certificate names that one of them shows. */
  certificate(address: string, identities: Identities): void {
    this.#do((network) => network.certificate(address, identities));
  }

  /** Everybody refuses its certificate, for that reason; without one nobody does any more. */
  untrusted(address: string, why?: string): void {
    this.#do((network) => network.untrusted(address, why));
  }

  // --- time ---

  /** How many milliseconds of virtual time have passed. */
  get now(): number {
    return (this.#network.now() - this.#began) / 1_000;
  }

  /** Lets so many milliseconds pass. Within another `run` or `until` it waits until they have. */
  run(ms: number): Promise<void> {
    return this.#clock.run(ms);
  }

  /**
   * Lets time pass until a promise is settled, and resolves or rejects as it does. Rejects with `timeout` when the
   * limit comes first, or when nothing more will ever happen.
   */
  until<T>(promise: PromiseLike<T>, { limit = LIMIT }: UntilOptions = {}): Promise<T> {
    return this.#clock.until(promise, limit);
  }

  /** Resolves when so many milliseconds have passed: what `setTimeout` is outside. It does not let them pass. */
  sleep(ms: number, options?: WaitOptions): Promise<void> {
    return this.#clock.sleep(ms, options?.signal);
  }

  /** Lets time stand still until a promise is settled that is not of the simulation: a file is read, say. */
  outside<T>(promise: PromiseLike<T>): Promise<T> {
    return this.#clock.outside(promise);
  }

  // --- what happened ---

  /** Follows from every packet sent so far, its time and its bytes: two runs that are the same have the same. */
  get traceHash(): string {
    return this.#network.traceHash();
  }

  /** Takes something into the hash, with the time: a result, say. */
  note(what: string): void {
    this.#do((network) => network.note(what));
  }

  /** How many packets are kept, those that were sent last, for the ladder and the pcap. At first 100,000. */
  record(packets: number): void {
    this.#do((network) => network.record(packets));
  }

  /** Names an address in the ladder. */
  nameAddress(address: string, port: number, name: string): void {
    this.#do((network) => network.nameAddress(address, port, name));
  }

  /** The ladder diagram so far, as text. */
  ladder(): string {
    return this.#do((network) => network.ladder());
  }

  /** The same as a picture: an SVG document. */
  svg(): string {
    return this.#do((network) => network.svg());
  }

  /** What was sent so far as a pcap file, for Wireshark. */
  pcap(): Uint8Array {
    return this.#do((network) => network.pcap());
  }

  /** Gives its memory back: it and its phones throw `disposed` from now on. The second time it does nothing. */
  [Symbol.dispose](): void {
    if (this.#turn.isOver) return;
    this.#do((network) => network.free());
    this.#turn.end();
  }

  get #network(): Network {
    this.#turn.check();
    return this.#made;
  }

  #do<T>(command: (network: Network) => T): T {
    return this.#turn.take(() => command(this.#network));
  }

  #step(): boolean {
    this.#do((network) => network.step());
    let isAwaited = false;
    for (const node of this.#nodes) isAwaited = node.tell() || isAwaited;
    return isAwaited;
  }
}

/** The parts of `10.0.0.1`, `10.0.0.1:5070`, `fd00::1` and `[fd00::1]:5070`. */
function placeOf(text: string): Address {
  const [, ipv6, ip, port] = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  return { address: ipv6 ?? ip ?? text, port: port === undefined ? SIP_PORT : Number(port) };
}
