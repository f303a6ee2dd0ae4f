// The driver of a machine that is a node of a simulation.
import type { Driver } from "../driver.js";
import { OffhookError } from "../errors.js";
import type { Address, Bound, Host } from "../host.js";
import { Listeners } from "../listeners.js";
import type { Machine, MachineEvent } from "../offhook_wasm.js";
import { asOffhookError, inHandler } from "../refusals.js";
import { readWav, resample, type Machine as SimulatedMachine } from "../sim_glue.js";

/** Whether a machine runs: all of a simulation are one, as no two things happen at once. */
export class Turn {
  #isTaken = false;
  #isOver = false;

  /** Whether nothing can be done any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The memory of the simulation was given back. */
  end(): void {
    this.#isOver = true;
  }

  /** Throws `disposed` after the end. */
  check(): void {
    if (this.#isOver) throw new OffhookError("disposed", "the simulation was disposed of: make another one");
  }

  take<T>(run: () => T): T {
    this.check();
    if (this.#isTaken) throw inHandler();
    this.#isTaken = true;
    try {
      return run();
    } catch (error) {
      throw asOffhookError(error);
    } finally {
      this.#isTaken = false;
    }
  }
}

/** What a machine on a host has of its own, and a simulation has once: the record of packets. */
export type Capturing = Pick<Machine, "capture" | "missed" | "nameAddress" | "ladder" | "svg" | "pcap">;

/** What the driver of a phone has of its simulation. */
export interface Surroundings {
  readonly turn: Turn;
  now(): number;
  readonly files: Pick<Host, "load" | "create">;
  readonly capturing: Capturing;
}

/** The accounts of one node. */
export class SimDriver implements Driver {
  readonly glue = { readWav, resample };
  readonly host: Pick<Host, "load" | "create">;
  readonly #machine: Machine;
  readonly #listeners = new Listeners();

  constructor(
    machine: SimulatedMachine,
    private place: Address,
    private readonly around: Surroundings,
  ) {
    // With that it has all that phones and calls use; what a host uses is the network's here.
    this.#machine = Object.assign(machine, around.capturing) as unknown as Machine;
    this.host = around.files;
  }

  get listening(): Bound["listening"] {
    return [{ transport: "UDP", ...this.place }];
  }

  now(): number {
    return this.around.now();
  }

  /** It is at another address from now on. */
  moved(place: Address): void {
    this.place = place;
  }

  look<T>(ask: (machine: Machine) => T): T {
    return this.around.turn.take(() => ask(this.#machine));
  }

  act<T>(command: (machine: Machine) => T): T {
    const result = this.look(command);
    this.settle();
    return result;
  }

  settle(): void {
    this.tell();
  }

  /** Hands out what has happened. Whether anybody may want to do something about it. */
  tell(): boolean {
    const hasEmitted = this.#listeners.emit(() => this.look((machine) => machine.nextEvent()));
    return this.#listeners.look() || hasEmitted;
  }

  async open(): Promise<void> {}

  async close(): Promise<void> {}

  networkChanged(): void {
    this.act((machine) => machine.networkChanged());
  }

  subscribe(line: number, listener: (event: MachineEvent) => void): () => void {
    return this.#listeners.subscribe(line, listener);
  }

  afterSettle(look: () => void): () => void {
    return this.#listeners.afterSettle(look);
  }
}
