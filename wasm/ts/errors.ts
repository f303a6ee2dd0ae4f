// What is refused or fails, in one shape.

/** What an {@link OffhookError} knows besides its code and its sentence. */
export interface ErrorDetails {
  /** The SIP status code of the response that is to blame, 300 to 699. */
  status?: number;
  /** Its reason phrase. */
  reason?: string;
  /** After how many seconds it may be tried again, if the response says so. */
  retryAfter?: number;
  /** What was thrown underneath, such as an error of the system. */
  cause?: unknown;
}

/**
 * Everything that this package throws or rejects with, but for `AbortSignal.reason`. The message is for
 * people and may be worded better some day; `code` is for programs and stays the same. The codes are
 * those of the Rust crate: `invalid_state`, `invalid_value`, `rejected`, `registration_refused`,
 * `ended`, `file`, and so on.
 */
export class OffhookError extends Error {
  /** What is wrong, as a word for programs. */
  readonly code: string;
  /** The SIP status code of the response that is to blame, if one is. */
  readonly status?: number;
  /** Its reason phrase. */
  readonly reason?: string;
  /** After how many seconds it may be tried again, if the response says so. */
  readonly retryAfter?: number;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.status !== undefined) this.status = details.status;
    if (details.reason !== undefined) this.reason = details.reason;
    if (details.retryAfter !== undefined) this.retryAfter = details.retryAfter;
  }

  static {
    // On the prototype, as the name of a built-in error is: it is no property of each error.
    Object.defineProperty(this.prototype, "name", { value: "OffhookError", configurable: true });
  }
}
