// Putting a far end on hold.
import type { CallSeat } from "./course.js";
import type { EventOf } from "./topic.js";
import type { CallEvent } from "./events.js";
import { rejected, unchanged } from "./refusals.js";

type Verdict = EventOf<CallEvent, "hold"> | EventOf<CallEvent, "holdFailed">;

/** Holds or resumes; resolves when the far end has agreed. */
export async function setHold({ course }: CallSeat, held: boolean, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  let verdict: Verdict | undefined;
  const note = (event: Verdict) => {
    if (event.held === held && !(event.type === "hold" && event.by === "remote")) verdict ??= event;
  };
  course.topic.on("hold", note);
  course.topic.on("holdFailed", note);
  try {
    course.act((machine, id) => (held ? machine.hold(id) : machine.resume(id)));
    await course.until(() => verdict ?? course.ending, signal);
  } finally {
    course.topic.off("hold", note);
    course.topic.off("holdFailed", note);
  }
  if (!verdict) throw course.over();
  if (verdict.type === "hold") return;
  const { code } = verdict;
  throw code === undefined ? unchanged() : rejected({ ...verdict, code });
}
