// The calls of a phone.
import type { Call } from "./call.js";
import { Course, type CallSeat } from "./course.js";
import type { Driver } from "./driver.js";
import { OffhookError } from "./errors.js";
import { callEvent, type CallEvent, type PhoneEvent } from "./events.js";
import { Attendant, hasHooks, type CallHooks, type HookName } from "./hooks.js";
import type { Machine, MachineEvent } from "./offhook_wasm.js";
import { Queue } from "./queue.js";
import { Referral } from "./referral.js";
import type { Requests } from "./requests.js";
import { throwLater, type Topic } from "./topic.js";

/** A class of calls. */
export type CallClass<C extends Call = Call> = new (seat: CallSeat) => C & CallHooks;

/** A call, what has happened on it, and who runs its hooks. */
interface Held<C> {
  readonly call: C;
  readonly course: Course;
  readonly attendant: Attendant | undefined;
}

/** The events of the machine that are a call's. */
type OfCall = Extract<MachineEvent, { call: number }>;

/** Makes the calls of a phone, and gives them their events. */
export class Calls<C extends Call> {
  readonly #held = new Map<number, Held<C>>();
  readonly #hasHooks: boolean;
  #incoming = incomingQueue<C>();
  #referrals = referralQueue<C>();

  constructor(
    private readonly driver: Driver,
    private readonly requests: Requests,
    private readonly topic: Topic<PhoneEvent<C>>,
    private readonly callClass: CallClass<C>,
  ) {
    this.#hasHooks = hasHooks(callClass);
  }

  /** Those that are not over. */
  get all(): C[] {
    return [...this.#held.values()].map(({ call }) => call);
  }

  /** Those that come in, until the phone stops. */
  incoming(): AsyncIterableIterator<C> {
    return this.#incoming.items();
  }

  /** What far ends want, until the phone stops. */
  referrals(): AsyncIterableIterator<Referral<C>> {
    return this.#referrals.items();
  }

  /** A call of ours, which the machine begins with `place`. */
  place(place: (machine: Machine) => number): C {
    const id = this.driver.look(place);
    try {
      const { call } = this.#add({ id, direction: "outgoing" });
      this.driver.settle();
      return call;
    } catch (error) {
      if (!this.#held.has(id)) this.#end(id);
      throw error;
    }
  }

  /** Something has happened on a call. */
  take(event: OfCall): void {
    if (event.type === "incoming") return this.#arrive(event);
    const held = this.#held.get(event.call);
    if (!held) return;
    if (event.type === "referred") return this.#refer(event, held);
    // A listener to the end may place the next call.
    if (event.type === "ended") this.#held.delete(event.call);
    this.#emit(held, callEvent(event));
  }

  /** Ends the streams of this run; new ones are for the next. */
  closed(): void {
    this.#incoming.close();
    this.#referrals.close();
    this.#incoming = incomingQueue();
    this.#referrals = referralQueue();
  }

  #emit({ course, attendant }: Held<C>, event: CallEvent): void {
    attendant?.take(event);
    course.take(event);
  }

  #arrive({ call: id, from, to }: Extract<OfCall, { type: "incoming" }>): void {
    let call: C;
    try {
      ({ call } = this.#add({ id, direction: "incoming", from, to }));
    } catch (error) {
      return this.#refuse(id, { from, to }, error);
    }
    // Each call has one taker: its class, an iterator, or else a listener.
    const isWanted = this.#incoming.isTaken || !this.topic.isHeard("incoming");
    if (!this.#hasHooks && isWanted) this.#incoming.push(call);
    this.topic.emit({ type: "incoming", call, from, to });
  }

  #refer({ referral: id, to, by }: Extract<OfCall, { type: "referred" }>, held: Held<C>): void {
    const referral = new Referral(held.call, to, by, {
      accept: () => this.place((machine) => machine.acceptReferral(id)),
      reject: () => this.driver.act((machine) => machine.rejectReferral(id)),
    });
    const isHeard = held.course.topic.isHeard("referred") || this.topic.isHeard("referred");
    if (this.#referrals.isTaken || !isHeard) this.#referrals.push(referral);
    this.#emit(held, { type: "referred", referral });
    this.topic.emit({ type: "referred", referral });
  }

  #add(of: Pick<CallSeat, "id" | "direction" | "from" | "to">): Held<C> {
    const { driver, requests } = this;
    const course = new Course(driver, of.id);
    const call = new this.callClass({ ...of, driver, requests, course });
    const failed = (hook: HookName, error: unknown) => this.#hookFailed(call, of.id, hook, error);
    const attendant = this.#hasHooks ? new Attendant(call, of.direction === "outgoing", failed) : undefined;
    const held = { call, course, attendant };
    this.#held.set(of.id, held);
    return held;
  }

  /** The constructor of the class has thrown: there is no call that anybody could answer. */
  #refuse(id: number, ends: { from: string; to: string }, cause: unknown): void {
    this.#end(id);
    const problem = cause instanceof Error ? cause.message : String(cause);
    const error = new OffhookError("invalid_value", `callClass cannot make a call: ${problem}`, { cause });
    if (this.topic.isHeard("callRefused")) this.topic.emit({ type: "callRefused", ...ends, code: 480, error });
    // Thrown here it would keep the events that wait from their calls.
    else throwLater(cause);
  }

  /** Ends a call of the machine. Not by a method of `Call`, which a class may have overridden. */
  #end(id: number): void {
    try {
      this.driver.act((machine) => machine.end(id));
    } catch {
      // It is over already.
    }
  }

  #hookFailed(call: C, id: number, hook: HookName, error: unknown): void {
    this.#end(id);
    if (!this.topic.isHeard("hookFailed")) throw error;
    this.topic.emit({ type: "hookFailed", call, hook, error });
  }
}

const incomingQueue = <C extends Call>(): Queue<C> => new Queue((call) => call.state === "ended");

const referralQueue = <C extends Call>(): Queue<Referral<C>> =>
  new Queue(({ call }) => call.state === "ended");
