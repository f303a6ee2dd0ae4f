// The driver of a machine whose network, clock and names are a host's.
import { Alarm, now, wall } from "./alarm.js";
import type { Driver } from "./driver.js";
import { OffhookError } from "./errors.js";
import type { Bound, Host, Packet } from "./host.js";
import { MachineInlet, type Deliver } from "./inlet.js";
import { Listeners } from "./listeners.js";
import { moduleMemory } from "./module.js";
import { Machine, readWav, resample, type HostRequest, type MachineEvent } from "./offhook_wasm.js";
import { PacketReader } from "./packets.js";
import { asOffhookError, inHandler } from "./refusals.js";
import { nextTurn } from "./turn.js";

/** How often in a row the machine may have something due at once, before others have their turn. */
const ROUNDS = 8;

const NONE = new Uint8Array();

/** The lines that share a host's sockets. */
export class HostDriver implements Driver {
  readonly glue = { readWav, resample };
  readonly #memory = moduleMemory();
  readonly #machine = new Machine((bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>));
  readonly #inlet = new MachineInlet((deliver, bytes) => this.#arrive(deliver, bytes));
  readonly #alarm = new Alarm(() => this.settle());
  readonly #packets = new PacketReader();
  readonly #listeners = new Listeners();
  readonly #open = new Set<number>();
  /** The host while it is open, or being opened. */
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #bound: Bound["listening"] = [];
  /** Whether the machine runs, or its packets are read: nothing may enter it then. */
  #isBusy = false;
  /** What has arrived meanwhile. */
  #arrivals: (() => void)[] = [];
  #isTurnComing = false;

  constructor(readonly host: Host) {}

  get listening(): Bound["listening"] {
    return this.#bound;
  }

  now(): number {
    return now();
  }

  look<T>(ask: (machine: Machine) => T): T {
    if (this.#isBusy) throw inHandler();
    try {
      return this.#enter(() => ask(this.#machine));
    } catch (error) {
      throw asOffhookError(error);
    }
  }

  act<T>(command: (machine: Machine) => T): T {
    const result = this.look(command);
    this.settle();
    return result;
  }

  async open(line: number): Promise<void> {
    this.#open.add(line);
    while (this.#closing) await this.#closing;
    // It may have been closed while others were.
    if (!this.#open.has(line)) return;
    try {
      this.#opening ??= this.#openHost(line);
      await this.#opening;
    } catch (error) {
      this.#open.delete(line);
      throw error;
    }
  }

  async close(line: number): Promise<void> {
    if (!this.#open.delete(line) || this.#open.size > 0) return this.#closing;
    this.#closing ??= this.#closeHost().finally(() => (this.#closing = undefined));
    await this.#closing;
  }

  networkChanged(): void {
    this.act((machine) => machine.networkChanged());
  }

  subscribe(line: number, listener: (event: MachineEvent) => void): () => void {
    return this.#listeners.subscribe(line, listener);
  }

  afterSettle(look: () => void): () => void {
    return this.#listeners.afterSettle(look);
  }

  /** Does what is due and hands out what comes of it: packets and requests to the host, events to their lines. */
  settle(): void {
    if (this.#isBusy) return this.#comeBack();
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        this.#enter(() => this.#machine.handleDeadline(now(), wall()));
        this.#flush();
        this.#listeners.emit(() => this.#machine.nextEvent());
        if (this.#machine.nextDeadline() > now()) break;
      }
      this.#listeners.look();
    } finally {
      // Whatever was thrown: the clock goes on for every account.
      const due = this.#machine.nextDeadline();
      this.#alarm.set(Number.isFinite(due) ? due : undefined);
    }
  }

  /** Runs the machine, into which nothing else may come meanwhile. */
  #enter<T>(run: () => T): T {
    this.#isBusy = true;
    try {
      return run();
    } finally {
      this.#isBusy = false;
      for (let arrival; !this.#isBusy && (arrival = this.#arrivals.shift()); ) arrival();
    }
  }

  /** Takes what the host says: at once, or after what is going on. What follows from it, once a turn. */
  #arrive(deliver: Deliver, bytes: Uint8Array = NONE): void {
    if (!this.#opening) return;
    if (this.#isBusy) {
      const copy = bytes.slice();
      this.#arrivals.push(() => this.#arrive(deliver, copy));
      return;
    }
    this.look((machine) => deliver(machine, now(), bytes));
    this.#comeBack();
  }

  /** Settles once all that has arrived in this turn of the loop is in the machine. */
  #comeBack(): void {
    if (this.#isTurnComing) return;
    this.#isTurnComing = true;
    nextTurn(() => {
      this.#isTurnComing = false;
      this.settle();
    });
  }

  /** Gives the host what waits for it. */
  #flush(): void {
    const machine = this.#machine;
    this.#enter(() => {
      const length = machine.packetsLength();
      if (length > 0) {
        try {
          this.#packets.read(this.#memory.buffer, machine.packetsAt(), length, this.#send);
        } finally {
          machine.packetsTaken();
        }
      }
      for (let request; (request = machine.nextRequest()); ) this.#ask(request);
    });
  }

  readonly #send = (packet: Packet): void => {
    if (!this.#opening) return;
    try {
      this.host.send(packet);
    } catch {
      // A host does not throw; with one that does, the packet is lost and no account suffers.
      if (packet.lane === "sip") this.#inlet.sendFailed(packet.socket, packet.address, packet.port);
    }
  };

  #ask(request: HostRequest): void {
    if (!this.#opening) return;
    try {
      this.#pass(request);
    } catch (error) {
      refuse(this.#inlet, request, String(error));
    }
  }

  #pass(request: HostRequest): void {
    switch (request.type) {
      case "openFlow":
        return this.host.openFlow(request);
      case "closeFlow":
        return this.host.closeFlow(request.flow);
      case "bindMedia":
        return this.host.bindMedia(request);
      case "releaseMedia":
        return this.host.releaseMedia(request.media);
      case "resolve":
        return this.host.resolve(request);
      case "rebind":
        return this.host.rebind();
    }
  }

  async #openHost(line: number): Promise<void> {
    try {
      const needs = this.look((machine) => machine.needs(line));
      const { listening } = await this.host.open(needs, this.#inlet);
      this.look((machine) => {
        for (const { transport, address, port } of listening) machine.bound(transport, address, port);
      });
      this.#bound = listening;
    } catch (error) {
      this.#opening = undefined;
      throw error instanceof OffhookError ? error : new OffhookError("bind", String(error), { cause: error });
    }
  }

  async #closeHost(): Promise<void> {
    // It is not closed before it is open.
    await this.#opening?.catch(() => {});
    if (!this.#opening) return;
    this.#alarm.clear();
    this.#bound = [];
    await this.host.close();
    this.#opening = undefined;
  }
}

/** Answers what a host should have answered, and has thrown at. */
function refuse(inlet: MachineInlet, request: HostRequest, problem: string): void {
  switch (request.type) {
    case "openFlow":
      return inlet.flowFailed(request.id, "unreachable", problem);
    case "bindMedia":
      return inlet.mediaUnavailable(request.id);
    case "resolve":
      return inlet.resolveFailed(request.id, problem);
  }
}
