// What is recorded of a call, and who records it.
import type { FileSink } from "../host.js";
import { FileStore, MemoryStore, Recording, type RecordOptions, type Store } from "./recording.js";
import type { SoundSeat } from "./seat.js";

/** How often the machine is asked for what it kept, in microseconds: it keeps two seconds. */
const PERIOD = 200_000;

/** A recording under way. */
interface Track {
  /** Takes pairs of samples. False: it takes no more. */
  add(rate: number, pairs: Int16Array): boolean;
  end(): void;
}

/** The recordings of a call. */
export class Tap {
  readonly #seat: SoundSeat;
  readonly #tracks = new Set<Track>();
  /** Ends our looking. */
  #rest: (() => void) | undefined;
  /** Whether the machine keeps anything: it cannot before the call has media. */
  #isOn = false;
  #due = 0;

  constructor(seat: SoundSeat) {
    this.#seat = seat;
  }

  /** Records to memory. */
  toMemory({ kept = "both" }: RecordOptions): Recording<Uint8Array> {
    return this.#record(new MemoryStore(channels(kept)), kept);
  }

  /** Records to a file that is being made. */
  toFile(sink: Promise<FileSink>, { kept = "both" }: RecordOptions): Recording<void> {
    return this.#record(new FileStore(sink, channels(kept)), kept);
  }

  /** The call is over: takes the last of it, and ends every recording. */
  close(): void {
    this.#drain();
    for (const track of [...this.#tracks]) track.end();
  }

  #record<T>(store: Store<T>, kept: "both" | "received"): Recording<T> {
    let complete!: (finished: Promise<T>) => void;
    const finished = new Promise<T>((resolve) => (complete = resolve));
    const track: Track = {
      add: (rate, pairs) => store.add(rate, bytesOf(kept === "both" ? pairs : heard(pairs))),
      end: () => {
        if (!this.#tracks.delete(track)) return;
        if (this.#tracks.size === 0) this.#stop();
        complete(store.finish());
      },
    };
    // What was kept before is of those that already run.
    this.#drain();
    this.#tracks.add(track);
    this.#start();
    return new Recording(finished, () => {
      this.#drain();
      track.end();
    });
  }

  #start(): void {
    this.#turnOn();
    this.#rest ??= this.#seat.driver.afterSettle(() => {
      const now = this.#seat.driver.now();
      if (!this.#isOn) this.#turnOn();
      if (now < this.#due) return;
      this.#due = now + PERIOD;
      this.#drain();
    });
  }

  #stop(): void {
    this.#rest?.();
    this.#rest = undefined;
    if (this.#isOn) this.#seat.driver.look((machine) => machine.setTap(this.#seat.id, false));
    this.#isOn = false;
  }

  #turnOn(): void {
    this.#isOn = this.#seat.driver.look((machine) => machine.setTap(this.#seat.id, true));
  }

  #drain(): void {
    if (!this.#isOn) return;
    const { driver, id } = this.#seat;
    const [rate, pairs] = driver.look((machine) => [machine.tapRate(id), machine.takeTap(id)] as const);
    if (rate === undefined || pairs.length === 0) return;
    for (const track of [...this.#tracks]) {
      if (!track.add(rate, pairs)) track.end();
    }
  }
}

const channels = (kept: "both" | "received"): number => (kept === "both" ? 2 : 1);

/** The second of each pair. */
function heard(pairs: Int16Array): Int16Array {
  const samples = new Int16Array(pairs.length / 2);
  for (let i = 0; i < samples.length; i += 1) samples[i] = pairs[2 * i + 1]!;
  return samples;
}

/** Little-endian, as WAV has it and every machine that JavaScript runs on. */
const bytesOf = (samples: Int16Array): Uint8Array =>
  new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
