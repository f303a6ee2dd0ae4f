// What is checked before it crosses into WebAssembly, where a value of another type is no value at all.
import { OffhookError } from "./errors.js";

/** How long a text may be that is handed to the phone: more than any message holds. */
const LONGEST = 65_535;

/** A text that is one, whatever TypeScript was made to believe. Throws `invalid_value`. */
export function text(what: string, value: unknown): string {
  if (typeof value === "string" && value.length <= LONGEST) return value;
  const problem = typeof value === "string" ? "is too long" : `is not a string but ${value === null ? "null" : typeof value}`;
  throw new OffhookError("invalid_value", `the ${what} ${problem}`);
}

/** The same, where there may be none. */
export const optionalText = (what: string, value: unknown): string | undefined =>
  value === undefined ? undefined : text(what, value);

/** The bytes of a body. Throws `too_large` for what no message holds. */
export function body(value: string | Uint8Array): Uint8Array {
  if (typeof value !== "string" && !(value instanceof Uint8Array)) {
    throw new OffhookError("invalid_value", "the body is neither a string nor a Uint8Array");
  }
  if (value.length > LONGEST) throw new OffhookError("too_large", `the body has ${value.length} bytes; ${LONGEST} are the most`);
  return typeof value === "string" ? new TextEncoder().encode(value) : value;
}

/** A text as it is when it has crossed and comes back: half a surrogate pair does not cross. */
export const crossing = (value: string): string => new TextDecoder().decode(new TextEncoder().encode(value));
