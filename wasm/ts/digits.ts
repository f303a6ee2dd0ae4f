// The digits that come on a call.
import type { Course } from "./course.js";
import { OffhookError } from "./errors.js";

/** The digits of a call one by one as they come, until it is over and all were taken. */
export function digits(course: Course): AsyncIterableIterator<string> {
  const left = new AbortController();
  const find = (): string | undefined => course.takeDigits(1) || (course.ending ? "" : undefined);
  return {
    async next() {
      try {
        const digit = await course.until(find, left.signal);
        return digit === "" ? DONE : { done: false, value: digit };
      } catch (error) {
        if (left.signal.aborted) return DONE;
        throw error;
      }
    },
    // An asynchronous generator would return only after the `next` that waits.
    async return() {
      left.abort();
      return DONE;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const DONE: IteratorResult<string> = { done: true, value: undefined };

/**
 * Takes `count` digits, once there are as many. Rejects with `invalid_value` for a count that is none, and with `ended`
 * when the call is over first.
 */
export async function readDigits(course: Course, count: number, signal?: AbortSignal): Promise<string> {
  if (!Number.isSafeInteger(count) || count < 1) {
    const problem = "a number of digits is a whole number from 1";
    throw new OffhookError("invalid_value", `count ${String(count)} cannot be used: ${problem}`);
  }
  await course.until(() => (course.digits >= count || course.ending ? true : undefined), signal);
  if (course.digits < count) throw course.over();
  return course.takeDigits(count);
}
