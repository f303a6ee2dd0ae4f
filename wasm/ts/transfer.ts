// Transferring a call (RFC 3515).
import { text } from "./checks.js";
import type { CallSeat } from "./course.js";
import type { CallEvent } from "./events.js";
import type { TransferOptions as MachineOptions } from "./offhook_wasm.js";
import type { Caused } from "./refusals.js";
import type { EventOf } from "./topic.js";
import type { WaitOptions } from "./waiting.js";

/** How a call is transferred. */
export interface TransferOptions extends MachineOptions, WaitOptions {}

/** What became of a transfer, and the response that says so: that to REFER, or the target's. */
export interface Transfer extends Caused {
  /**
   * Whether the far end has agreed (blind) or has reached the target (notified): the call has ended or ends
   * now. Otherwise, unless it has ended meanwhile, it goes on.
   */
  readonly transferred: boolean;
}

/** Transfers a call, and says what became of it. */
export async function transfer({ course }: CallSeat, target: string, options: TransferOptions = {}): Promise<Transfer> {
  const { signal, ...rest } = options;
  signal?.throwIfAborted();
  let last: EventOf<CallEvent, "transfer"> | undefined;
  const note = (event: EventOf<CallEvent, "transfer">) => {
    if (event.last) last ??= event;
  };
  course.topic.on("transfer", note);
  try {
    course.act((machine, id) => machine.transfer(id, text("target", target), rest));
    await course.until(() => last ?? course.ending, signal);
  } finally {
    course.topic.off("transfer", note);
  }
  if (!last) throw course.over();
  const { outcome, code, reason, retryAfter } = last;
  return {
    transferred: outcome !== "failed",
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { reason }),
    ...(retryAfter !== undefined && { retryAfter }),
  };
}
