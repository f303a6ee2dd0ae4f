// What is refused and what fails, in the sentences that the Rust crate has for it (native/src/error.rs).
import { OffhookError } from "./errors.js";
import type { EndedBy, PhoneParameters } from "./offhook_wasm.js";

/** The response that explains what happened, if one does. */
export interface Caused {
  /** The SIP status code, 100 to 699. */
  readonly code?: number;
  readonly reason?: string;
  /** After how many seconds it may be tried again, if the response says so. */
  readonly retryAfter?: number;
}

/** Anything that was thrown, as an `OffhookError`. */
export function asOffhookError(thrown: unknown): OffhookError {
  if (thrown instanceof OffhookError) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const { code, status, reason, retryAfter } = error as Error & { code?: unknown } & Omit<Caused, "code"> & {
      status?: number;
    };
  if (typeof code === "string") {
    return new OffhookError(code, error.message, defined({ status, reason, retryAfter }));
  }
  // What the glue of WebAssembly says of an argument of the wrong type, or of a fault of ours.
  const isFault = error instanceof WebAssembly.RuntimeError;
  const message = `this cannot be done: ${error.message}`;
  return new OffhookError(isFault ? "internal" : "invalid_value", message, { cause: error });
}

/** What was refused by a response. */
export function rejected({ code, reason = "", retryAfter }: Caused & { readonly code: number }): OffhookError {
  const message = `it was refused: ${code} ${reason}${rejectionHint(code)}`;
  return new OffhookError("rejected", message, defined({ status: code, reason, retryAfter }));
}

/** Something that had to come did not. */
export const timedOut = (what: string): OffhookError =>
  new OffhookError("timeout", `${what} did not come within the time allowed`);

/** Somebody wants something of a call that is over. */
export const over = (by: EndedBy): OffhookError =>
  new OffhookError("ended", `the call is over: ${ENDINGS[by]}`);

/** A SIP handler or a host has called back into the machine that calls it. */
export const inHandler = (): OffhookError =>
  new OffhookError(
    "in_handler",
    "a SIP handler and a host cannot use the phone while it calls them: do it later (queueMicrotask)",
  );

/** A hold or a resume came to nothing without an answer. */
export const unchanged = (): OffhookError =>
  new OffhookError(
    "unchanged",
    "the call stays as it was: the far end could not be asked, or is asked otherwise now",
  );

export const notRunning = (): OffhookError =>
  new OffhookError("not_running", "the phone is not running: start it first");

export const alreadyRunning = (): OffhookError =>
  new OffhookError("already_running", "the phone is already running");

/** How a call ended, for somebody who still wanted something of it. */
export function ofEnding(
  ending: Caused & { readonly by: EndedBy; readonly error?: OffhookError; readonly setupMs?: number },
): OffhookError {
  const { by, code, error } = ending;
  const wasAnswered = ending.setupMs !== undefined;
  if (error) return error;
  if (wasAnswered) return over(by);
  if (by === "timeout") return timedOut("an answer to the call");
  if (code !== undefined && by !== "local") return rejected({ ...ending, code });
  if (by === "error") {
    const message = "the call did not get through: is the far end running, and is its address right?";
    return new OffhookError("unreachable", message);
  }
  return over(by);
}

/** Why registering failed: the server's response, what was in the way of asking, or no answer. */
export function registrationFailed(
  parameters: PhoneParameters,
  failure: Caused & { readonly error?: OffhookError } = {},
): OffhookError {
  const server = serverOf(parameters);
  const { user } = parameters;
  const { code, reason = "", retryAfter, error } = failure;
  if (code !== undefined) {
    const message = `${server} refused to register ${user}: ${code} ${reason}${registrationHint(parameters, code)}`;
    return new OffhookError("registration_refused", message, defined({ status: code, reason, retryAfter }));
  }
  if (error) return error;
  const question = "is it running, and is the address right?";
  return new OffhookError("registration_unanswered", `${server} did not answer the registration of ${user}: ${question}`);
}

/** The server with the port that was said. */
function serverOf({ server = "", port = 0 }: PhoneParameters): string {
  if (port === 0) return server;
  return server.includes(":") && !server.startsWith("[") ? `[${server}]:${port}` : `${server}:${port}`;
}

function registrationHint({ password, credentials, realm }: PhoneParameters, code: number): string {
  const hasNone = password === undefined && !credentials?.length;
  switch (code) {
    case 401:
    case 407:
      if (hasNone) return " (no password was given)";
      return realm === undefined ? " (is the password right?)" : " (are the password and the realm right?)";
    case 403:
      return hasNone ? " (no password was given)" : " (is the password right?)";
    case 404:
      return " (the server does not know this user)";
    default:
      return "";
  }
}

function rejectionHint(code: number): string {
  switch (code) {
    case 401:
    case 407:
      return " (are the user and the password right?)";
    case 403:
      return " (the server or the far end does not allow it)";
    case 404:
      return " (nobody has this number there)";
    case 408:
      return " (the server had no answer from the far end in time)";
    case 480:
      return " (the far end cannot be reached, or takes no calls now)";
    case 486:
    case 600:
      return " (the other side is busy)";
    case 488:
      return " (the two sides may have no codec in common)";
    case 603:
      return " (the far end does not want it)";
    case 513:
      return " (it is too large)";
    default:
      return "";
  }
}

const ENDINGS: Readonly<Record<EndedBy, string>> = {
  local: "this side ended it",
  remote: "the far end ended it",
  timeout: "the far end fell silent",
  error: "it failed",
};

/** Without the fields that are `undefined`. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
