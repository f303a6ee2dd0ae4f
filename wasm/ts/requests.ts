// Requests of ours and their answers.
import type { Driver } from "./driver.js";
import type { OffhookError } from "./errors.js";
import type { BodyPart, Machine, MachineEvent, RequestOptions as MachineOptions } from "./offhook_wasm.js";
import { asOffhookError, notRunning, timedOut } from "./refusals.js";
import { Waiters, type WaitOptions } from "./waiting.js";

/** What a request of any method holds. */
export interface RequestOptions extends MachineOptions, WaitOptions {}

/** What comes with an instant message. */
export interface MessageOptions extends WaitOptions {
  /** The type of the body. Default `text/plain`. */
  readonly contentType?: string;
}

/** The final response to a request of ours. */
export interface Reply {
  /** The SIP status code, 200 to 699. */
  readonly code: number;
  readonly reason: string;
  /** After how many seconds it may be tried again, if the response says so. */
  readonly retryAfter?: number;
  /** The header fields as they came. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  /** The parts of a body of several (RFC 5621). */
  readonly parts?: readonly BodyPart[];
  /** From sending the request to the response. */
  readonly roundTripMs: number;
}

/** What answers a request. */
export type ResponseEvent = Extract<MachineEvent, { type: "response" }>;

/** The requests of a phone that wait for their answers. */
export class Requests {
  readonly #answers = new Map<number, Reply | OffhookError | undefined>();
  readonly #waiters = new Waiters();

  constructor(private readonly driver: Driver) {}

  /** The answer to the request that `send` makes the machine send; `what` names it, should none come. */
  async ask(send: (machine: Machine) => number, what: string, signal?: AbortSignal): Promise<Reply> {
    signal?.throwIfAborted();
    const number = this.driver.act((machine) => {
      const number = send(machine);
      this.#answers.set(number, undefined);
      return number;
    });
    try {
      const answer = await this.#waiters.until(() => this.#answers.get(number), signal);
      if ("roundTripMs" in answer) return answer;
      throw answer.code === "timeout" ? timedOut(what) : answer;
    } finally {
      this.#answers.delete(number);
    }
  }

  /** Takes an answer. */
  take({ type: _type, line: _line, request, error, ...reply }: ResponseEvent): void {
    if (!this.#answers.has(request)) return;
    const none = () => (error ? asOffhookError(error) : timedOut("an answer"));
    this.#answers.set(request, reply.code === undefined ? none() : (reply as Reply));
    this.#waiters.look();
  }

  /** No more answers come. */
  close(): void {
    for (const number of this.#answers.keys()) this.#answers.set(number, notRunning());
    this.#waiters.look();
  }
}
