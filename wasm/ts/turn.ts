// Turns of the event loop.

/** Runs `work` when what has arrived by now has been handed out: after the sockets were read, before timers. */
export const nextTurn: (work: () => void) => void =
  typeof setImmediate === "function" ? (work) => void setImmediate(work) : byMessage();

/** In a page, where timers of 0 ms are held back and messages are not. */
function byMessage(): (work: () => void) => void {
  let channel: MessageChannel | undefined;
  const waiting: (() => void)[] = [];
  return (work) => {
    if (!channel) {
      channel = new MessageChannel();
      channel.port1.onmessage = () => waiting.shift()?.();
    }
    waiting.push(work);
    channel.port2.postMessage(undefined);
  };
}
