// The types have `AsyncDisposable`, which a project's own settings may lack.
/// <reference lib="esnext.disposable" preserve="true" />

// A recording that runs, and the file or the memory it goes to.
import type { FileSink } from "../host.js";
import { HEADER, wavHeader } from "./wav_header.js";

/** How a call is recorded. */
export interface RecordOptions {
  /**
   * `both`, the default: stereo, left what is sent and right what is heard. `received`: mono, what is heard.
   */
  readonly kept?: "both" | "received";
}

/** The rate of a file without sound. */
const SILENT_RATE = 8_000;

/** How much may wait for a slow disk, in bytes: eight minutes of a call at 8 kHz. What comes then is lost. */
const WAITING = 16 << 20;

/** How much a recording in memory holds, in bytes; it ends there. */
const MEMORY = 256 << 20;

/** Where a recording goes; `T` is what is left of it in the end. */
export interface Store<T> {
  /** Takes the next sound. False: it takes no more. */
  add(rate: number, sound: Uint8Array): boolean;
  /** Completes it. */
  finish(): Promise<T>;
}

/** A recording that runs. It ends with its call, or with {@link stop}. */
export class Recording<T = Uint8Array | void> implements AsyncDisposable {
  readonly #end: () => void;
  readonly #finished: Promise<T>;

  /** @internal */
  constructor(finished: Promise<T>, end: () => void) {
    this.#end = end;
    this.#finished = finished;
    // Whoever wants to know asks.
    finished.catch(() => {});
  }

  /**
   * Ends it now. Resolves when its file is complete, or, of one in memory, with the WAV. Rejects with `file`
   * when it could not be written.
   */
  stop(): Promise<T> {
    this.#end();
    return this.#finished;
  }

  /** Resolves, as {@link stop}, when it has ended with its call. */
  finished(): Promise<T> {
    return this.#finished;
  }

  /** As {@link stop}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Keeps a recording in memory. */
export class MemoryStore implements Store<Uint8Array> {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;
  #rate = SILENT_RATE;

  constructor(private readonly channels: number) {}

  add(rate: number, sound: Uint8Array): boolean {
    if (this.#length + sound.length > MEMORY) return false;
    this.#rate = rate;
    this.#length += sound.length;
    this.#pieces.push(sound);
    return true;
  }

  async finish(): Promise<Uint8Array> {
    const pieces = [wavHeader(this.#rate, this.channels, this.#length), ...this.#pieces.splice(0)];
    return join(pieces, HEADER + this.#length);
  }
}

/** Writes a recording to a file. What the file's head says is true at every moment: sound is written first. */
export class FileStore implements Store<void> {
  #waiting: Uint8Array[] = [];
  #waits = 0;
  #length = 0;
  #rate = SILENT_RATE;
  #isFinished = false;
  #wake: (() => void) | undefined;
  readonly #written: Promise<void>;

  constructor(sink: Promise<FileSink>, private readonly channels: number) {
    this.#written = this.#write(sink);
    this.#written.catch(() => {});
  }

  add(rate: number, sound: Uint8Array): boolean {
    if (this.#isFinished) return false;
    this.#rate = rate;
    if (this.#waits + sound.length > WAITING) return true;
    this.#waiting.push(sound);
    this.#waits += sound.length;
    // When the process is killed a second is lost.
    if (this.#waits >= rate * this.channels * 2) this.#wake?.();
    return true;
  }

  finish(): Promise<void> {
    this.#isFinished = true;
    this.#wake?.();
    return this.#written;
  }

  async #write(opening: Promise<FileSink>): Promise<void> {
    const sink = await opening;
    try {
      await this.#writeHeader(sink);
      while (await this.#some()) {
        const sound = join(this.#waiting.splice(0), this.#waits);
        this.#waits = 0;
        await sink.write(sound, HEADER + this.#length);
        this.#length += sound.length;
        await this.#writeHeader(sink);
      }
    } catch (error) {
      this.#isFinished = true;
      await sink.close().catch(() => {});
      throw error;
    }
    await sink.close();
  }

  #writeHeader(sink: FileSink): Promise<void> {
    return sink.write(wavHeader(this.#rate, this.channels, this.#length), 0);
  }

  /** Waits for a second of sound, or the end. False when everything is written. */
  async #some(): Promise<boolean> {
    if (!this.#isFinished && this.#waits < this.#rate * this.channels * 2) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    return this.#waits > 0;
  }
}

function join(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
