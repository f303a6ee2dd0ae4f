// What happens on phones and calls.
import type { Call } from "./call.js";
import type { OffhookError } from "./errors.js";
import type { HookName } from "./hooks.js";
import type {
  CallState,
  CallStats,
  EndedBy,
  MachineEvent,
  PhoneStatus,
  Reason,
  SipHandler,
  TransferOutcome,
} from "./offhook_wasm.js";
import type { Referral } from "./referral.js";
import { asOffhookError, type Caused } from "./refusals.js";

/** What happened on a phone: `type` says which. */
export type PhoneEvent<C extends Call = Call> =
  | { readonly type: "status"; readonly status: PhoneStatus }
  /** The server took our registration; it lasts for `expires` seconds and is renewed in time. */
  | { readonly type: "registered"; readonly expires: number }
  | { readonly type: "unregistered" }
  /** A registration failed; it is tried again unless the status is `failed`. */
  | ({ readonly type: "registrationFailed"; readonly error?: OffhookError } & Caused)
  /** `start` has failed, with that error. */
  | { readonly type: "startFailed"; readonly error: OffhookError }
  /** Somebody calls. */
  | { readonly type: "incoming"; readonly call: C; readonly from: string; readonly to: string }
  /**
   * Somebody has called, and was refused for want of room, ports or an address, or because the constructor of the
   * `callClass` has thrown; there is no call.
   */
  | {
      readonly type: "callRefused";
      readonly from: string;
      readonly to: string;
      readonly code: number;
      readonly error: OffhookError;
    }
  /** Somebody sent an instant message (RFC 3428), which was answered 200. Nobody has proved who. */
  | {
      readonly type: "message";
      readonly from: string;
      readonly to: string;
      readonly body: Uint8Array;
      readonly contentType: string;
    }
  /** The far end of a call wants us to call somebody else. */
  | { readonly type: "referred"; readonly referral: Referral<C> }
  /** A `sipHandler` has thrown `error`, or has returned what cannot be; its message went on as it was. */
  | {
      readonly type: "handlerFailed";
      /** Where; `sipHandler` is the function that makes one. */
      readonly method: keyof SipHandler | "sipHandler";
      readonly error: unknown;
    }
  /** A hook of a `callClass` has thrown: its call ends, and no further hook of it runs. */
  | { readonly type: "hookFailed"; readonly call: C; readonly hook: HookName; readonly error: unknown };

/** What happened on a call: `type` says which. The last is `ended`. */
export type CallEvent =
  /** It has another state, or a provisional response came (180 while `dialing`). */
  | ({ readonly type: "state"; readonly state: CallState } & Caused)
  /** One side put the other on hold, or took it off. */
  | { readonly type: "hold"; readonly by: "local" | "remote"; readonly held: boolean }
  /** A hold (or, not `held`, a resume) of ours came to nothing. */
  | ({ readonly type: "holdFailed"; readonly held: boolean } & Caused)
  /** The far end changed the session: codec, direction, or where its media is. */
  | { readonly type: "renegotiated" }
  /** A transfer of ours came further, or, `last`, to its end. The response is that to REFER, or the target's. */
  | ({
      readonly type: "transfer";
      readonly to: string;
      readonly outcome: TransferOutcome;
      readonly last: boolean;
    } & Caused)
  /** The far end wants us to call somebody else. */
  | { readonly type: "referred"; readonly referral: Referral }
  /** The far end has pressed a digit and released it. */
  | { readonly type: "dtmf"; readonly digit: string; readonly durationMs: number }
  /** Every digit that was to be sent has been. */
  | { readonly type: "dtmfSent" }
  /** All sound that was written has been sent. */
  | { readonly type: "audioSent" }
  /** A mark was reached: by sound that was sent, or, not `played`, that was dropped. */
  | { readonly type: "mark"; readonly name: string; readonly played: boolean }
  /** Nothing has come for `mediaTimeout`, though it should; a call that is answered ends now. */
  | { readonly type: "silent" }
  /** The far end said in RTCP that no more sound comes. */
  | { readonly type: "goodbye" }
  | Ended;

/** How a call ended. */
export interface Ended extends Caused {
  readonly type: "ended";
  readonly by: EndedBy;
  /** What failed on this side: no free port, no address to advertise. */
  readonly error?: OffhookError;
  /** How long it took to be answered; missing when it was not. */
  readonly setupMs?: number;
  /** How long it was up. */
  readonly durationMs: number;
  /** Why, where the side that has ended it says more than the status (RFC 3326). */
  readonly reasons: readonly Reason[];
  /** Whether another of the phones that rang has answered. */
  readonly answeredElsewhere: boolean;
  /** What its media has done. */
  readonly stats: CallStats;
}

/** The machine's events that are a call's, as they are handed out, but for `referred`. */
export type PlainCallEvent = Exclude<CallEvent, { readonly type: "referred" }>;

type CallMachineEvent = Exclude<Extract<MachineEvent, { type: PlainCallEvent["type"] }>, { type: "incoming" }>;

/** What a call's listeners are given for an event of the machine. */
export function callEvent({ line: _line, call: _call, ...event }: CallMachineEvent): PlainCallEvent {
  if (event.type !== "ended" || !event.error) return event as PlainCallEvent;
  return { ...event, error: asOffhookError(event.error) } as Ended;
}
