import type { AddressInfo } from "node:net";
import type {
  CallInfo,
  CallOptions,
  CallState,
  CallStats,
  PhoneEvent,
  PhoneParameters,
  PhoneStatus,
  RequestOptions,
  TransferOptions,
} from "../dist/offhook_wasm.js";

export type {
  CallInfo,
  CallOptions,
  CallState,
  CallStats,
  PhoneError,
  PhoneEvent,
  PhoneParameters,
  PhoneStatus,
  RequestOptions,
  TransferOptions,
  Wav,
} from "../dist/offhook_wasm.js";
export { readWav } from "../dist/offhook_wasm.js";

type Of<T extends PhoneEvent["type"]> = T extends "referred"
  ? Referral
  : Extract<PhoneEvent, { type: T }>;
type CallEvent = Exclude<Extract<PhoneEvent, { call: number }>["type"], "incoming">;

/** The far end of a call wants us to call somebody else: to be decided within 20 s. */
export type Referral = Extract<PhoneEvent, { type: "referred" }> & {
  /** Calls whom it names, and reports to the far end how that goes. */
  accept(): Call;
  reject(): void;
};

/** What became of a transfer, and the response that says so. */
export interface Transfer {
  transferred: boolean;
  code?: number;
  reason?: string;
}

/** The final response to a request of ours. */
export interface Reply {
  code: number;
  reason: string;
  headers: [name: string, value: string][];
  body: Uint8Array;
  /** From sending the request to the response. */
  roundTripMs: number;
}

/** A telephone over node:dgram. What is refused is thrown as a PhoneError. */
export class Phone {
  constructor(parameters: PhoneParameters);
  readonly status: PhoneStatus;
  /** The address and port that are bound, of a phone that was started. */
  readonly local: AddressInfo;
  /** Resolves when the phone is registered, or ready where there is no server. */
  start(): Promise<void>;
  /** Ends every call, takes the registration back and closes the sockets. */
  stop(): Promise<void>;
  /**
   * Says that the network has changed: the machine has another address, another interface, other
   * routes. The phone registers anew at once, and its calls go on from there.
   */
  networkChanged(): void;
  /** Calls a SIP URI, or a name or number at the server. */
  call(target: string, options?: CallOptions): Call;
  /**
   * Sends an instant message (RFC 3428); those that come are the event `message`. Resolves when the
   * far end, or a server that keeps messages, has taken it (2xx).
   */
  message(target: string, body: string | Uint8Array, contentType?: string): Promise<Reply>;
  /** Asks what a target can do, a SIP ping: any answer shows that somebody is there. */
  options(target: string): Promise<Reply>;
  /** Sends a request of any other method outside a dialog. */
  request(
    method: string,
    target: string,
    options?: RequestOptions,
  ): Promise<Reply>;
  /** The calls that come in, until the phone stops. */
  incoming(): AsyncGenerator<Call, void, void>;
  on(type: "incoming", listener: (call: Call) => void): this;
  on<T extends Exclude<PhoneEvent["type"], "incoming">>(
    type: T,
    listener: (event: Of<T>) => void,
  ): this;
  off(type: PhoneEvent["type"], listener: (value: never) => void): this;
}

/** A call. After `ended` its commands throw. */
export class Call {
  private constructor();
  readonly id: number;
  /** The caller's URI of a call that came in. */
  readonly from?: string;
  /** The called URI of a call that came in. */
  readonly to?: string;
  readonly state: CallState;
  /** What is known about it, until it is over. */
  readonly info: CallInfo | undefined;
  readonly stats: CallStats | undefined;
  /** Resolves when the call is answered; rejects when it ends unanswered. */
  answered(): Promise<void>;
  /** Resolves with the event that ended it. */
  ended(): Promise<Of<"ended">>;
  answer(): Promise<void>;
  /** Opens the media before the answer (183). */
  progress(): void;
  /** Refuses it; 603 by default. */
  deny(code?: number, reason?: string): void;
  /** Sends the caller to another URI (302). */
  redirect(contact: string): void;
  /** Puts the far end on hold; resolves when it has agreed. What is written is still sent to it. */
  hold(): Promise<void>;
  /** Takes the far end off our hold; resolves when it has agreed. */
  resume(): Promise<void>;
  /**
   * Asks the far end to call somebody else instead (REFER). Unless it was transferred, the call goes
   * on.
   */
  transfer(target: string, options?: TransferOptions): Promise<Transfer>;
  /** Sends a request of any method within the call: INFO, say. */
  request(method: string, options?: RequestOptions): Promise<Reply>;
  hangup(): Promise<Of<"ended">>;
  cancel(): Promise<Of<"ended">>;
  /** Ends it by whatever its state allows: hangs it up, cancels it, or denies it with 480. */
  end(): Promise<Of<"ended">>;
  /** Queues 16-bit samples, `rate` a second; returns how many were taken. */
  writeAudio(rate: number, samples: Int16Array): number;
  /** Takes what was heard and not read yet. */
  readAudio(rate: number): Int16Array;
  /** The same, of that many samples: where too little was heard, silence. */
  readAudioOrSilence(rate: number, length: number): Int16Array;
  /** How many seconds of what was written have been sent. */
  readonly played: number;
  /** How many seconds of what was written wait to be sent. */
  readonly queued: number;
  /** Drops what waits to be sent; returns how many seconds that was. */
  flushAudio(): number;
  /**
   * Sets a mark after what was written. The event `mark` brings it back when the sound before it has
   * been sent, or, not played, when that was dropped. False when 256 wait.
   */
  mark(name: string): boolean;
  /** Sends samples; resolves when the last one has left, or the call is over. */
  play(rate: number, samples: Int16Array): Promise<void>;
  /** The same with a WAV of any common coding: its bytes, or the path or URL of its file. */
  play(wav: Uint8Array | string | URL): Promise<void>;
  /** Sends digits: 0 to 9, *, #, A to D. */
  sendDtmf(digits: string): void;
  /** Resolves with that many digits (default 1), or with fewer when the call ends. */
  readDtmf(count?: number): Promise<string>;
  /** Takes digits that came and were not taken yet, at most `length`; by default all. */
  takeDtmf(length?: number | null): string;
  on<T extends CallEvent>(type: T, listener: (event: Of<T>) => void): this;
  off(type: CallEvent, listener: (value: never) => void): this;
}
