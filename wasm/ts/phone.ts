// The types have `AsyncDisposable`, which a project's own settings may lack.
/// <reference lib="esnext.disposable" preserve="true" />

// A telephone.
import { Call } from "./call.js";
import { Calls, type CallClass } from "./calls.js";
import { Capture } from "./capture.js";
import { body as asBody, text } from "./checks.js";
import type { Driver } from "./driver.js";
import { Emitter } from "./emitter.js";
import type { OffhookError } from "./errors.js";
import type { PhoneEvent } from "./events.js";
import type { Bound, Host } from "./host.js";
import { HostDriver } from "./host_driver.js";
import { defaultHost } from "./hosts.js";
import { Line } from "./line.js";
import type {
  Binding,
  CallOptions,
  Counters,
  MachineEvent,
  PhoneParameters,
  PhoneStatus,
  SipHandler,
} from "./offhook_wasm.js";
import type { Referral } from "./referral.js";
import { asOffhookError, rejected } from "./refusals.js";
import { Requests, type MessageOptions, type Reply, type RequestOptions } from "./requests.js";
import { Topic } from "./topic.js";
import type { WaitOptions } from "./waiting.js";

/** What an account is made with: the parameters of SIP, and what the program does with it. */
export interface AccountOptions<C extends Call = Call> extends PhoneParameters {
  /** The class of its calls, with hooks where it wants them: see `CallHooks`. Default `Call`. */
  readonly callClass?: CallClass<C>;
  /** Sees every SIP message, and may change, answer or drop it. A function makes one at each start. */
  readonly sipHandler?: SipHandler | (() => SipHandler);
  /**
   * Whether every packet is kept, from now on, for `phone.capture`: `true`, or how many bytes at most (64 MiB).
   * It is one record for all accounts on the same sockets.
   */
  readonly capture?: boolean | number;
}

/** What a phone is made with. */
export interface PhoneOptions<C extends Call = Call> extends AccountOptions<C> {
  /** What it runs on. Default in Node: `NodeHost`. */
  readonly host?: Host;
}

/**
 * A telephone: registers, places calls and takes them. Its events are the {@link PhoneEvent}s.
 *
 * ```ts
 * const phone = new Phone({ server: "pbx.example.com", user: "alice", password: "secret" });
 * await phone.start();
 * for await (const call of phone.incoming()) void call.answer();
 * ```
 *
 * What is refused is thrown as an `OffhookError`; what returns a promise rejects with it.
 */
export class Phone<C extends Call = Call> extends Emitter<PhoneEvent<C>> implements AsyncDisposable {
  readonly #driver: Driver;
  readonly #topic: Topic<PhoneEvent<C>>;
  readonly #line: Line;
  readonly #calls: Calls<C>;
  readonly #requests: Requests;
  /** The record of packets, where `capture` was wanted. */
  readonly capture: Capture | undefined;

  /**
   * A phone that has not started. Throws `invalid_value` for what cannot be used, `no_host` where there is none,
   * and `not_loaded` before the module is. `driver` is for those who drive the machine themselves.
   */
  constructor(options: PhoneOptions<C>, driver?: Driver) {
    const topic = new Topic<PhoneEvent<C>>();
    super(topic);
    const { host, callClass, sipHandler, capture, ...parameters } = options ?? {};
    this.#topic = topic;
    this.#driver = driver ?? new HostDriver(host ?? defaultHost());
    this.#requests = new Requests(this.#driver);
    this.#calls = new Calls(this.#driver, this.#requests, topic, callClass ?? (Call as unknown as CallClass<C>));
    this.#line = new Line(this.#driver, parameters, sipHandler, {
      take: (event) => this.#take(event),
      emit: (event) => topic.emit(event),
      opened: () => topic.reopen(),
      closed: () => this.#closed(),
    });
    if (capture) this.capture = new Capture(this.#driver, capture === true ? undefined : capture);
  }

  /**
   * A phone that shares this one's sockets whenever both run: another account. It starts, stops, registers,
   * calls and is called by itself. Whichever of them starts first binds: the address, the DNS servers and the TLS
   * files are those of that one.
   */
  anotherAccount<D extends Call = Call>(options: AccountOptions<D>): Phone<D> {
    return new Phone<D>(options, this.#driver);
  }

  get status(): PhoneStatus {
    return this.#line.status;
  }

  /** Every address at which it listens, and for what; none while it is not running. */
  get listening(): Bound["listening"] {
    return this.#line.isRunning ? this.#driver.listening : [];
  }

  /** The registration as the server's last answer described it; `undefined` while there is none. */
  get binding(): Binding | undefined {
    return this.#line.look((machine, line) => machine.binding(line));
  }

  /** What it has counted since it was started last. */
  get counters(): Counters {
    return this.#line.counters;
  }

  /** The calls that are not over. */
  get calls(): C[] {
    return this.#calls.all;
  }

  /** What there is to say about the registration that failed last. */
  get registrationError(): OffhookError {
    return this.#line.registrationError;
  }

  /**
   * Binds the SIP port, registers if there is a server, and resolves when the phone is ready. A registration that
   * fails is tried again as often as `registrationAttempts` says and the failure allows hope, for `startTimeout` at
   * most. Once registered the phone stays so by itself.
   *
   * Rejects with `bind` when the port is in use, `tls_file`, `no_certificate`, `registration_refused` and the
   * status, `registration_unanswered`, or what was in the way of asking; the phone has then `failed` and holds
   * nothing. `already_running` changes nothing; `not_running` when it was stopped meanwhile. A signal stops it.
   */
  start(options?: WaitOptions): Promise<void> {
    return this.#line.start(options?.signal);
  }

  /**
   * Ends every call whatever its state, deregisters, and resolves when everything is released; bounded in time. A
   * phone that had failed is `inactive` again.
   */
  stop(): Promise<void> {
    return this.#line.stop();
  }

  /** Stops it and forgets it: a phone that is closed holds nothing. It may be started again. */
  close(): Promise<void> {
    return this.#line.close();
  }

  /** `await using phone = ...` stops it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Says that the network has changed: the machine has another address, another interface, other routes. The
   * sockets are bound anew, and this phone and the other accounts on them register anew; calls go on. Does nothing
   * when it is not running.
   */
  networkChanged(): void {
    if (this.#line.isRunning) this.#driver.networkChanged();
  }

  /**
   * Calls a SIP URI or, with a server, a name or number there. Throws `not_running`, `invalid_value` for a target
   * that cannot be called, `too_many_calls`. Follow it with `call.answered()`.
   */
  call(target: string, options?: CallOptions): C {
    const { number } = this.#line;
    return this.#calls.place((machine) => machine.call(number, text("target", target), options));
  }

  /** Asks a target what it can do (OPTIONS), a SIP ping. Resolves with the answer, whatever its status; rejects with `timeout` when none comes. */
  async options(target: string, options?: WaitOptions): Promise<Reply> {
    const { number } = this.#line;
    return this.#requests.ask((machine) => machine.options(number, text("target", target)), "an answer to OPTIONS", options?.signal);
  }

  /**
   * Sends an instant message (RFC 3428): text, or the bytes of any type. Resolves with the answer of the far end, or
   * of a server that keeps messages, which has taken it; rejects with `rejected` for any other, `timeout`, and
   * `too_large`. Those that come are the event `message`.
   */
  async message(target: string, body: string | Uint8Array, options?: MessageOptions): Promise<Reply> {
    const { number } = this.#line;
    const { signal, contentType = "text/plain" } = options ?? {};
    const bytes = asBody(body);
    const reply = await this.#requests.ask(
      (machine) => machine.message(number, text("target", target), bytes, text("content type", contentType)),
      "an answer to the message",
      signal,
    );
    if (reply.code < 300) return reply;
    throw rejected(reply);
  }

  /**
   * Sends a request of any other method outside of a dialog. Resolves with the answer, whatever its status;
   * rejects with `invalid_value` for what the phone sends by itself, `timeout` when none comes.
   */
  async request(method: string, target: string, options?: RequestOptions): Promise<Reply> {
    const { number } = this.#line;
    const { signal, ...rest } = options ?? {};
    return this.#requests.ask(
      (machine) => machine.request(number, text("method", method), text("target", target), rest),
      "an answer to the request",
      signal,
    );
  }

  /**
   * The calls that come in, until the phone stops: `for await (const call of phone.incoming())`. Those that came
   * before wait, unless somebody listens to `incoming`; each has one taker, and a caller who gives up is not shown.
   */
  incoming(): AsyncIterableIterator<C> {
    return this.#calls.incoming();
  }

  /** What the far ends of calls want us to call instead, until the phone stops. Only with `acceptTransfer`. */
  referrals(): AsyncIterableIterator<Referral<C>> {
    return this.#calls.referrals();
  }

  #take(event: MachineEvent): void {
    if ("call" in event) return this.#calls.take(event);
    const { line: _line, ...own } = event;
    if (event.type === "response") this.#requests.take(event);
    else if (own.type === "callRefused") this.#topic.emit({ ...own, error: asOffhookError(own.error) });
    else if (own.type === "message" || own.type === "handlerFailed") this.#topic.emit(own);
  }

  #closed(): void {
    this.#calls.closed();
    this.#requests.close();
    this.#topic.close();
  }
}
