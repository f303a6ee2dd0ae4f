// What every entry of the package exports.
export { Call, type DenyOptions, type EndOptions } from "./call.js";
export type { CallClass } from "./calls.js";
export type { Capture } from "./capture.js";
export type { CallSeat } from "./course.js";
export { OffhookError, type ErrorDetails } from "./errors.js";
export type { CallEvent, Ended, PhoneEvent } from "./events.js";
export type { CallHooks, Cause, HookName } from "./hooks.js";
export * from "./host.js";
export type { ModuleSource } from "./module.js";
export type {
  Binding,
  BodyPart,
  CallInfo,
  CallOptions,
  CallState,
  CallStats,
  Counters,
  Credentials,
  EndedBy,
  MediaDirection,
  PhoneParameters,
  PhoneStatus,
  Reason,
  SipAnswer,
  SipHandler,
  SipMessage,
  TransferOutcome,
  Wav,
} from "./offhook_wasm.js";
export { Phone, type AccountOptions, type PhoneOptions } from "./phone.js";
export type { Referral } from "./referral.js";
export type { Caused } from "./refusals.js";
export type { MessageOptions, Reply, RequestOptions } from "./requests.js";
export type { Recording, RecordOptions } from "./sound/recording.js";
export type { Sampled, Samples } from "./sound/samples.js";
export type { PlaySource } from "./sound/source.js";
export type { EventOf, Listener } from "./topic.js";
export type { Transfer, TransferOptions } from "./transfer.js";
export type { WaitOptions } from "./waiting.js";
export { readWav } from "./wav.js";
