// The course of a call.
import type { Driver } from "./driver.js";
import type { OffhookError } from "./errors.js";
import type { CallEvent, Ended } from "./events.js";
import type { CallInfo, CallState, EndedBy, Machine } from "./offhook_wasm.js";
import { over } from "./refusals.js";
import type { Requests } from "./requests.js";
import { Topic } from "./topic.js";
import { Waiters } from "./waiting.js";

/** What a call is made of. Only a phone makes one; a `callClass` passes it on to `super`. */
export interface CallSeat {
  readonly driver: Driver;
  /** The machine's number of the call. */
  readonly id: number;
  readonly course: Course;
  /** Where requests within the call are answered. */
  readonly requests: Requests;
  readonly direction: "incoming" | "outgoing";
  /** The caller's and the called URI, of a call that came in. */
  readonly from?: string;
  readonly to?: string;
}

/** What has happened on a call so far, its listeners and those who wait. */
export class Course {
  readonly topic = new Topic<CallEvent>(true);
  readonly #waiters = new Waiters();
  /** The digits that nobody had taken when it ended. */
  #digits = "";
  #ending: Ended | undefined;
  /** What was known about it when it ended. */
  #info: CallInfo | undefined;
  /** Whether it was answered, at any time. */
  wasAnswered = false;

  constructor(
    private readonly driver: Driver,
    private readonly id: number,
  ) {}

  /** How it ended, once it has. */
  get ending(): Ended | undefined {
    return this.#ending;
  }

  get info(): CallInfo | undefined {
    return this.#ending ? this.#info : this.driver.look((machine) => machine.info(this.id));
  }

  get state(): CallState {
    if (this.#ending) return "ended";
    return this.driver.look((machine) => machine.state(this.id)) ?? "ended";
  }

  /** The error of somebody who wants something of a call that is over. */
  over(): OffhookError {
    // Where the end is not known yet, it is our BYE or our refusal that is not answered yet.
    const by: EndedBy = this.#ending?.by ?? "local";
    return over(by);
  }

  /** Resolves when `find` finds something: it is asked now, and after each event of the call. */
  until<T>(find: () => T | undefined, signal?: AbortSignal): Promise<T> {
    return this.#waiters.until(find, signal);
  }

  /** Gives a command for the call. Throws `ended` when it is over. */
  act<T>(command: (machine: Machine, id: number) => T): T {
    if (this.state === "ended") throw this.over();
    return this.driver.act((machine) => command(machine, this.id));
  }

  /** Takes digits that have come, `length` at most. */
  takeDigits(length?: number): string {
    if (!this.#ending) return this.driver.look((machine) => machine.takeDtmf(this.id, length));
    const taken = this.#digits.slice(0, length);
    this.#digits = this.#digits.slice(taken.length);
    return taken;
  }

  /** How many wait to be taken. */
  get digits(): number {
    if (this.#ending) return this.#digits.length;
    return this.driver.look((machine) => machine.availableDtmf(this.id));
  }

  /** Something has happened. */
  take(event: CallEvent): void {
    if (this.#ending) return;
    if (event.type === "state" && event.state === "answered") this.wasAnswered = true;
    if (event.type === "ended") {
      // The machine forgets it with the next event.
      this.#digits = this.takeDigits();
      this.#info = this.info;
      this.#ending = event;
    }
    this.topic.emit(event);
    if (event.type === "ended") this.topic.close();
    this.#waiters.look();
  }
}
