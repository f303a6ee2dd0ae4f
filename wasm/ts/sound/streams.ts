// The sound of a call as Web Streams.
import type { Samples } from "./samples.js";
import type { Sound } from "./sound.js";

/** How much a reader is given at least, but for the last: a packet's worth, in parts of a second. */
const PACKETS_A_SECOND = 50;

/** What is heard. Nothing is read ahead of the reader; what it leaves for longer than a second is lost. */
export function readableOf(sound: Sound, rate: number): ReadableStream<Int16Array> {
  const given = new AbortController();
  return new ReadableStream<Int16Array>(
    {
      async pull(controller) {
        try {
          const samples = await sound.readSome(rate, Math.ceil(rate / PACKETS_A_SECOND), given.signal);
          if (samples.length > 0) controller.enqueue(samples);
          else controller.close();
        } catch (error) {
          if (!given.signal.aborted) controller.error(error);
        }
      },
      cancel: (reason) => given.abort(reason),
    },
    { highWaterMark: 0 },
  );
}

/**
 * What is sent. A write resolves when it has been taken, and no more than 200 ms wait then; `close`
 * when the last has been sent. `abort` drops what waits.
 */
export function writableOf(sound: Sound, rate: number): WritableStream<Samples> {
  return new WritableStream<Samples>({
    write: (samples, { signal }) => sound.send(rate, samples, signal),
    close: () => sound.sent(),
    abort: () => void sound.flushAudio(),
  });
}
