// A far end's request that we call somebody else instead (REFER).
import type { Call } from "./call.js";

/** How a phone decides a referral. */
export interface Decisions<C extends Call> {
  accept(): C;
  reject(): void;
}

/**
 * The far end of a call wants us to call somebody else: the call is to be transferred. Nothing is called
 * before it is accepted, which has to be within 20 s.
 */
export class Referral<C extends Call = Call> {
  /** The call whose far end wants it. */
  readonly call: C;
  /** The URI that we should call. */
  readonly to: string;
  /** Who wants it, by Referred-By or else the far end's URI; nobody has proved it. */
  readonly by: string;
  readonly #decisions: Decisions<C>;

  /** @internal */
  constructor(call: C, to: string, by: string, decisions: Decisions<C>) {
    this.call = call;
    this.to = to;
    this.by = by;
    this.#decisions = decisions;
  }

  /**
   * Calls whom it names, and reports to the far end how that goes. The old call lasts until somebody hangs
   * it up, mostly the far end when it learns of success. Throws `no_such_referral` when it is too late, and
   * as `phone.call`.
   */
  accept(): C {
    return this.#decisions.accept();
  }

  /** Refuses it (603). Throws `no_such_referral` when it is too late. */
  reject(): void {
    this.#decisions.reject();
  }
}
