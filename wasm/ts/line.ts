// The life of a phone: started, registered, stopped.
import type { Driver } from "./driver.js";
import { OffhookError } from "./errors.js";
import type { PhoneEvent } from "./events.js";
import type { Counters, Machine, MachineEvent, PhoneParameters, PhoneStatus, SipHandler } from "./offhook_wasm.js";
import { alreadyRunning, asOffhookError, notRunning, registrationFailed, type Caused } from "./refusals.js";
import { Waiters } from "./waiting.js";

/** What a line reports to. */
export interface LineOwner {
  /** An event of the machine that is not of the line's life. */
  take(event: MachineEvent): void;
  /** An event of the line's life. */
  emit(event: Extract<PhoneEvent, { type: "status" | "registered" | "unregistered" | "registrationFailed" | "startFailed" }>): void;
  /** A run begins, or is over. */
  opened(): void;
  closed(): void;
}

const NOTHING: Counters = {
  received: 0,
  malformed: 0,
  stray: 0,
  refused: 0,
  callsRefused: 0,
  unansweredChallenges: 0,
  changesRefused: 0,
  unmapped: 0,
};

/** One account on a driver. Each run of it is a line of the machine. */
export class Line {
  #number: number | undefined;
  #unsubscribe = () => {};
  #status: PhoneStatus = "inactive";
  #failure: (Caused & { readonly error?: OffhookError }) | undefined;
  #isRunning = false;
  #ending: Promise<void> | undefined;
  /** What was counted until the last run was over. */
  #counters: Counters = NOTHING;
  readonly #waiters = new Waiters();

  /** Throws what the machine says of the parameters. */
  constructor(
    private readonly driver: Driver,
    private readonly parameters: PhoneParameters,
    private readonly handler: SipHandler | (() => SipHandler) | undefined,
    private readonly owner: LineOwner,
  ) {
    this.#add();
  }

  get status(): PhoneStatus {
    return this.#status;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  get counters(): Counters {
    return this.look((machine, number) => machine.counters(number)) ?? this.#counters;
  }

  /** Asks the machine something of a line that runs. */
  look<T>(ask: (machine: Machine, line: number) => T): T | undefined {
    const number = this.#number;
    return number === undefined ? undefined : this.driver.look((machine) => ask(machine, number));
  }

  /** The number of a line that takes commands. Throws `not_running`. */
  get number(): number {
    if (!this.#isRunning || this.#number === undefined) throw notRunning();
    return this.#number;
  }

  /** Why the registration failed that did last. */
  get registrationError(): OffhookError {
    return registrationFailed(this.parameters, this.#failure);
  }

  async start(signal?: AbortSignal): Promise<void> {
    while (this.#ending) await this.#ending;
    signal?.throwIfAborted();
    if (this.#isRunning && this.#status !== "failed") throw alreadyRunning();
    const number = this.#add();
    try {
      await this.#run(number, signal);
    } catch (error) {
      // A signal leaves nothing that is half started; a stop meanwhile sees to itself.
      if (signal?.aborted || !(error instanceof OffhookError)) await this.stop();
      else if (error.code !== "not_running") await this.#fail(error);
      throw error;
    }
  }

  async #run(number: number, signal: AbortSignal | undefined): Promise<void> {
    this.#setStatus("registering", true);
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.owner.opened();
      await this.driver.open(number);
      signal?.throwIfAborted();
      if (this.#number !== number || this.#ending) throw notRunning();
    }
    this.driver.act((machine) => machine.start(number));
    const isSettled = (status: PhoneStatus) => status !== "registering" && status !== "deregistering";
    const status = await this.#waiters.until(() => (isSettled(this.#status) ? this.#status : undefined), signal);
    if (status === "failed") throw this.registrationError;
    if (status !== "registered") throw notRunning();
  }

  /** A start has failed: on this side, or because of the server. */
  async #fail(error: OffhookError): Promise<void> {
    this.#setStatus("failed");
    await this.#end();
    this.owner.emit({ type: "startFailed", error });
  }

  /** Ends every call, deregisters, and resolves when everything is released; bounded in time. */
  async stop(): Promise<void> {
    this.#setStatus(this.#isRunning ? "deregistering" : "inactive", true);
    if (this.#isRunning) await this.#end();
  }

  /** Stops, and leaves nothing in the machine. */
  async close(): Promise<void> {
    await this.stop();
    // Somebody may have started it again meanwhile.
    if (!this.#isRunning) this.#remove();
  }

  #end(): Promise<void> {
    this.#ending ??= this.#wind().finally(() => (this.#ending = undefined));
    return this.#ending;
  }

  async #wind(): Promise<void> {
    const number = this.#number;
    if (number === undefined) return;
    this.driver.act((machine) => machine.stop(number));
    // A phone that has lost its registration for good may still have calls to end.
    const isOver = (machine: Machine) =>
      machine.status(number) === "inactive" ||
      (machine.status(number) === "failed" && machine.calls(number).length === 0);
    await this.#waiters.until(() => this.driver.look(isOver) || undefined);
    this.#remove();
    await this.driver.close(number);
    this.#isRunning = false;
    this.#setStatus("inactive");
    this.owner.closed();
    this.#waiters.look();
  }

  #add(): number {
    if (this.#number !== undefined) return this.#number;
    const number = this.driver.act((machine) => machine.add(this.parameters, this.handler));
    this.#unsubscribe = this.driver.subscribe(number, (event) => this.#take(event));
    this.#number = number;
    return number;
  }

  #remove(): void {
    const number = this.#number;
    if (number === undefined) return;
    this.#counters = this.counters;
    this.driver.act((machine) => machine.remove(number));
    this.#unsubscribe();
    this.#number = undefined;
  }

  #take(event: MachineEvent): void {
    switch (event.type) {
      case "status":
        this.#setStatus(event.status);
        this.#waiters.look();
        break;
      case "registered":
        this.owner.emit({ type: "registered", expires: event.expires });
        break;
      case "unregistered":
        this.owner.emit({ type: "unregistered" });
        break;
      case "registrationFailed": {
        const { line: _line, error, ...failure } = event;
        const failed = { ...failure, ...(error && { error: asOffhookError(error) }) };
        this.#failure = failed;
        this.owner.emit(failed);
        break;
      }
      default:
        this.owner.take(event);
        this.#waiters.look();
    }
  }

  /** FAILED stays when the phone then stops, so that a later look learns it; unless it is `left`. */
  #setStatus(status: PhoneStatus, left = false): void {
    const isEnding = status === "deregistering" || status === "inactive";
    if (status === this.#status || (isEnding && this.#status === "failed" && !left)) return;
    this.#status = status;
    this.owner.emit({ type: "status", status });
    this.#waiters.look();
  }
}
