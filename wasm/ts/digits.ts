// The digits that come on a call.
import type { Course } from "./course.js";

/** The digits of a call one by one as they come, until it is over and all were taken. */
export async function* digits(course: Course): AsyncGenerator<string, void, void> {
  for (;;) {
    await course.until(() => (course.digits > 0 || course.ending ? true : undefined));
    const digit = course.takeDigits(1);
    if (digit === "") return;
    yield digit;
  }
}

/** Takes `count` digits, once there are as many. Rejects with `ended` when the call is over first. */
export async function readDigits(course: Course, count: number, signal?: AbortSignal): Promise<string> {
  await course.until(() => (course.digits >= count || course.ending ? true : undefined), signal);
  if (course.digits < count) throw course.over();
  return course.takeDigits(count);
}
