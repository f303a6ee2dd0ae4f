// Marks in the sound that is sent.
import { OffhookError } from "../errors.js";
import type { SoundCourse } from "./seat.js";

/** How many may wait: `MAX_MARKS` of the core. */
const LIMIT = 256;

/** Those who wait for the marks of a call. */
export class Marks {
  #waiting: { readonly name: string; readonly tell: (played: boolean) => void }[] = [];

  constructor(course: SoundCourse) {
    course.topic.on("mark", ({ name, played }) => this.#tell(name, played));
    course.topic.on("ended", () => {
      for (const { tell } of this.#waiting.splice(0)) tell(false);
    });
  }

  /**
   * Sets a mark by `set`, which says whether there was room. Resolves with whether it was played. Throws
   * `too_many_marks`.
   */
  set(name: string, set: () => boolean): Promise<boolean> {
    let tell!: (played: boolean) => void;
    const told = new Promise<boolean>((resolve) => (tell = resolve));
    // A mark behind no sound comes back before `set` does.
    const waiter = { name, tell };
    this.#waiting.push(waiter);
    let wasSet = false;
    try {
      wasSet = set();
    } finally {
      if (!wasSet) this.#waiting = this.#waiting.filter((other) => other !== waiter);
    }
    if (!wasSet) throw new OffhookError("too_many_marks", `${LIMIT} marks wait to be played already`);
    return told;
  }

  /** Marks of one name come back in the order in which they were set. */
  #tell(name: string, played: boolean): void {
    const index = this.#waiting.findIndex((waiter) => waiter.name === name);
    if (index >= 0) this.#waiting.splice(index, 1)[0]?.tell(played);
  }
}
