// The types have `AsyncDisposable`, which a project's own settings may lack.
/// <reference lib="esnext.disposable" preserve="true" />

// A telephone call, as the application holds it.
import { CallMedia } from "./call_media.js";
import { optionalText, text } from "./checks.js";
import type { CallSeat } from "./course.js";
import type { Ended } from "./events.js";
import { setHold } from "./hold.js";
import type { CallInfo, CallState, Machine, Reason } from "./offhook_wasm.js";
import { ofEnding } from "./refusals.js";
import type { Reply, RequestOptions } from "./requests.js";
import { transfer, type Transfer, type TransferOptions } from "./transfer.js";
import type { WaitOptions } from "./waiting.js";

/** What `deny` says beside the status, and how long it waits. */
export interface DenyOptions extends WaitOptions {
  /** After how many seconds it may be tried again (Retry-After). */
  readonly retryAfter?: number;
}

/** How a call is ended. */
export interface EndOptions extends WaitOptions {
  /** Why, for the far end (Reason, RFC 3326). */
  readonly reasons?: readonly Reason[];
}

/**
 * A call. Its events are those of `CallEvent`; the first listener to a type of them also
 * receives those that came before it.
 *
 * Commands to the far end return promises. One that the state does not allow rejects with `invalid_state`, and
 * everything with `ended` once the call is over. `state` is the new one as soon as a command was given: after
 * `hangup()` it is `ended`, whenever its promise resolves.
 */
export class Call extends CallMedia implements AsyncDisposable {
  readonly #seat: CallSeat;

  /** Only a phone makes calls; a `callClass` passes on what it is given. */
  constructor(seat: CallSeat) {
    super(seat);
    this.#seat = seat;
  }

  /** The call's number; no other call of the phone has it. */
  get id(): number {
    return this.#seat.id;
  }

  /** Who began it: `outgoing` are our own. */
  get direction(): "incoming" | "outgoing" {
    return this.#seat.direction;
  }

  /** The caller's URI of a call that came in, from From; nobody has proved it. */
  get from(): string | undefined {
    return this.#seat.from;
  }

  /** The called URI of a call that came in, from To. */
  get to(): string | undefined {
    return this.#seat.to;
  }

  get state(): CallState {
    return this.#seat.course.state;
  }

  /**
   * Who calls whom, by which header fields and codec; stays when the call is over. `undefined` only of one that the phone
   * could not begin.
   */
  get info(): CallInfo | undefined {
    return this.#seat.course.info;
  }

  /**
   * Answers a call that came in; resolves when it is up. Rejects with `no_ports_available`, and with `ended` when
   * the caller gave up.
   */
  async answer(options?: WaitOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.#act((machine, id) => machine.answer(id));
    await this.answered(options);
  }

  /** Opens the media of a call that came in before it is answered (183), for announcements; resolves when it is open. */
  async progress(options?: WaitOptions): Promise<void> {
    options?.signal?.throwIfAborted();
    this.#act((machine, id) => machine.progress(id));
    await this.#reached((state) => state === "progress" || state === "answered", options);
  }

  /** Refuses a call that came in, with a status `code` from 400 to 699 (603) and a reason or the code's own. */
  async deny(code = 603, reason?: string, options?: DenyOptions): Promise<Ended> {
    return this.#end((machine, id) => machine.deny(id, code, optionalText("reason", reason), options?.retryAfter), options);
  }

  /** Sends the caller of a call that came in to another URI (302). */
  async redirect(contact: string, options?: WaitOptions): Promise<Ended> {
    return this.#end((machine, id) => machine.redirect(id, text("contact", contact)), options);
  }

  /** Ends a call that was answered. */
  async hangup(options?: EndOptions): Promise<Ended> {
    return this.#end((machine, id) => machine.hangup(id, options?.reasons), options);
  }

  /** Gives up a call of ours that is not answered yet. An answer that crosses is taken and hung up. */
  async cancel(options?: EndOptions): Promise<Ended> {
    return this.#end((machine, id) => machine.cancel(id, options?.reasons), options);
  }

  /** Ends it by whatever its state allows: hangs it up, cancels it, or denies it with 480. */
  async end(options?: WaitOptions): Promise<Ended> {
    return this.#end((machine, id) => machine.end(id), options);
  }

  /** The same, also of a call that is over already. */
  async close(options?: WaitOptions): Promise<void> {
    if (this.state !== "ended") await this.end(options);
    else await this.ended(options);
  }

  /** `await using call = ...` ends it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Resolves when the call is answered; it may be over again by then. Rejects with `rejected` and the status of
   * the far end's response, `timeout`, or how else it ended.
   */
  async answered(options?: WaitOptions): Promise<void> {
    await this.#reached((state) => state === "answered", options);
  }

  /** Resolves with how the call ended, once it has. */
  ended(options?: WaitOptions): Promise<Ended> {
    return this.#seat.course.until(() => this.#seat.course.ending, options?.signal);
  }

  /**
   * Puts the far end on hold; resolves when it has agreed. What is written may still be sent to it. Rejects
   * with `rejected` when the far end refuses, and with `unchanged` when it could not be asked, or `resume` came
   * first.
   */
  async hold(options?: WaitOptions): Promise<void> {
    await setHold(this.#seat, true, options?.signal);
  }

  /** Takes the far end off our hold; resolves when it has agreed. Rejects as `hold`. */
  async resume(options?: WaitOptions): Promise<void> {
    await setHold(this.#seat, false, options?.signal);
  }

  /**
   * Asks the far end to call `target` instead (REFER): a SIP URI or, with a server, a number or name there.
   * Resolves with what became of it. Rejects with `transfer_pending` while another transfer is under way, and
   * with `invalid_value` for a target that cannot be called. A signal ends the waiting and not the transfer.
   */
  async transfer(target: string, options?: TransferOptions): Promise<Transfer> {
    return transfer(this.#seat, target, options);
  }

  /**
   * Sends the far end of an answered call a request within the call: INFO, or one of a new method. Resolves with
   * the answer, whatever its status; rejects with `timeout` when none comes.
   */
  async request(method: string, options: RequestOptions = {}): Promise<Reply> {
    const { signal, ...rest } = options;
    const { course, id, requests } = this.#seat;
    if (course.ending) throw course.over();
    return requests.ask((machine) => machine.requestWithin(id, text("method", method), rest), "an answer to the request", signal);
  }

  #act<T>(command: (machine: Machine, id: number) => T): T {
    return this.#seat.course.act(command);
  }

  async #end(command: (machine: Machine, id: number) => void, options?: WaitOptions): Promise<Ended> {
    options?.signal?.throwIfAborted();
    this.#act(command);
    return this.ended(options);
  }

  /** Resolves when the state is a wanted one, or the call that was answered is over. */
  async #reached(isWanted: (state: CallState) => boolean, options?: WaitOptions): Promise<void> {
    const { course } = this.#seat;
    const state = await course.until(() => {
      const { state } = course;
      return isWanted(state) || course.ending || (state === "ended" && course.wasAnswered) ? state : undefined;
    }, options?.signal);
    if (isWanted(state) || course.wasAnswered) return;
    throw course.ending ? ofEnding(course.ending) : course.over();
  }
}
