// A class of calls: what is done with each of them, hook by hook (pyVoIP's `call_class`).
import { Call } from "./call.js";
import { OffhookError } from "./errors.js";
import type { CallEvent, Ended } from "./events.js";
import type { Caused } from "./refusals.js";

/** A response that came, with its status code. */
export type Cause = Caused & { readonly code: number };

/**
 * What a class given as `callClass` may do for its calls; each hook may return a promise.
 *
 * ```ts
 * class Doorbell extends Call implements CallHooks {
 *   async ringing() {
 *     await this.answer();
 *     await this.play("welcome.wav");
 *   }
 *   async onDtmf(digit: string) {
 *     if (digit === "#") await this.hangup();
 *   }
 * }
 * const phone = new Phone({ server: "pbx.example.com", user: "door", password: "secret", callClass: Doorbell });
 * ```
 *
 * The hooks of one call run one after the other, in the order in which things happened; the next waits until
 * the one before has resolved. Only `onDtmf` does not wait for the others, nor they for it: digits come while
 * `ringing` still plays a menu. Digits wait for each other; `bye` and `onEnded` wait for all. Calls do not wait
 * for each other.
 *
 * A phone whose class has hooks gives each call to them, and `phone.incoming()` none; events are emitted as ever. A
 * hook that throws ends its call, and no further hook of it runs: the phone's event `hookFailed` says so, and
 * where nobody listens to that the error is thrown for nobody to catch.
 *
 * The names are those of the Rust crate's `CallHandler`; four that would be a command's, a promise's or a
 * property's of `Call` begin with `on`.
 */
export interface CallHooks {
  /** Somebody calls: `answer`, `deny`, or nothing, and it goes on ringing. */
  ringing?(): unknown;
  /** A call of ours is under way: it rings (180), or has early media (183). Once for each response that says more. */
  onProgress?(cause: Cause): unknown;
  /** A call of ours was answered. */
  onAnswered?(): unknown;
  /** A call of ours was refused with 486 or 600. */
  busy?(): unknown;
  /** A call of ours was refused with 404 or 604. */
  notFound?(): unknown;
  /** A call of ours came to nothing in any other way; `onEnded` has the reason. */
  unavailable?(): unknown;
  /** The far end has hung up, or given up before we answered. */
  bye?(): unknown;
  /** The far end has changed the session: `info` says how it is now. */
  renegotiate?(): unknown;
  /** The far end has pressed a digit. It also waits for `readDtmf`. */
  onDtmf?(digit: string): unknown;
  /** The call is over, however it ended: the last hook of every call. */
  onEnded?(ending: Ended): unknown;
}

/** The name of a hook. */
export type HookName = keyof CallHooks;

const HOOKS: readonly HookName[] = [
  "ringing",
  "onProgress",
  "onAnswered",
  "busy",
  "notFound",
  "unavailable",
  "bye",
  "renegotiate",
  "onDtmf",
  "onEnded",
];

/** What a class has that is meant as a hook and would never run as one. */
const MISTAKEN: Readonly<Record<string, HookName>> = {
  progress: "onProgress",
  answered: "onAnswered",
  dtmf: "onDtmf",
  ended: "onEnded",
};

/**
 * Whether a class of calls has hooks. Throws `invalid_value` for one that has them by the names of its methods, and for
 * what is no class of calls.
 */
export function hasHooks(callClass: { readonly prototype: Call & CallHooks }): boolean {
  const given: unknown = callClass;
  const isOne = typeof given === "function" && (given === Call || given.prototype instanceof Call);
  if (!isOne) throw new OffhookError("invalid_value", "callClass cannot be used: it is no class that extends `Call`");
  for (let { prototype } = callClass; prototype && prototype !== Call.prototype; prototype = Object.getPrototypeOf(prototype)) {
    const mistaken = Object.keys(MISTAKEN).find((name) => Object.hasOwn(prototype, name));
    if (mistaken === undefined) continue;
    const problem = `\`${mistaken}\` is what every call has; the hook is \`${MISTAKEN[mistaken]}\``;
    throw new OffhookError("invalid_value", `callClass cannot be used: ${problem}`);
  }
  return HOOKS.some((name) => name in callClass.prototype);
}

/** Runs the hooks of one call. */
export class Attendant {
  #course = Promise.resolve();
  #digits = Promise.resolve();
  #isOver = false;

  /** `failed` receives the hook that has thrown, and what. */
  constructor(
    private readonly call: CallHooks,
    private readonly isOurs: boolean,
    private readonly failed: (hook: HookName, error: unknown) => void,
  ) {
    if (!isOurs) this.#next("ringing", () => this.call.ringing?.());
  }

  /** Something has happened on the call. */
  take(event: CallEvent): void {
    const call = this.call;
    switch (event.type) {
      case "dtmf":
        this.#digits = this.#digits.then(() => this.#run("onDtmf", () => call.onDtmf?.(event.digit)));
        break;
      case "state": {
        const { code = 0 } = event;
        if (!this.isOurs) break;
        if (event.state === "answered") this.#next("onAnswered", () => call.onAnswered?.());
        else if (code > 100 && code < 200) this.#next("onProgress", () => call.onProgress?.({ ...event, code }));
        break;
      }
      case "renegotiated":
        this.#next("renegotiate", () => call.renegotiate?.());
        break;
      case "ended": {
        this.#course = this.#course.then(() => this.#digits);
        const why = hookOfEnding(event, this.isOurs);
        if (why) this.#next(why, () => call[why]?.());
        this.#next("onEnded", () => call.onEnded?.(event));
        break;
      }
    }
  }

  #next(hook: HookName, run: () => unknown): void {
    this.#course = this.#course.then(() => this.#run(hook, run));
  }

  async #run(hook: HookName, run: () => unknown): Promise<void> {
    if (this.#isOver) return;
    try {
      await run();
    } catch (error) {
      if (this.#isOver) return;
      this.#isOver = true;
      this.failed(hook, error);
    }
  }
}

/** What the far end did to end the call, if it did. */
function hookOfEnding({ by, code, setupMs }: Ended, isOurs: boolean): "busy" | "notFound" | "unavailable" | "bye" | undefined {
  if (by === "local") return undefined;
  if (isOurs && setupMs === undefined) {
    if (code === 486 || code === 600) return "busy";
    return code === 404 || code === 604 ? "notFound" : "unavailable";
  }
  return by === "remote" ? "bye" : undefined;
}
