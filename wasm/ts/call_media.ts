// What is said and heard on a call: sound and digits.
import { text } from "./checks.js";
import type { CallSeat } from "./course.js";
import { digits, readDigits } from "./digits.js";
import { Emitter } from "./emitter.js";
import type { CallEvent } from "./events.js";
import type { CallStats, Machine } from "./offhook_wasm.js";
import type { Recording, RecordOptions } from "./sound/recording.js";
import type { Samples } from "./sound/samples.js";
import { Sound } from "./sound/sound.js";
import type { PlaySource } from "./sound/source.js";
import type { WaitOptions } from "./waiting.js";

/**
 * The media of a call. Sound is mono, at any rate from 4,000 to 192,000 samples a second; it is converted to and from
 * the call's own. Before there is media (the call is answered, or `progress`) it is refused with `invalid_state`.
 */
export abstract class CallMedia extends Emitter<CallEvent> {
  readonly #seat: CallSeat;
  readonly #sound: Sound;

  constructor(seat: CallSeat) {
    super(seat.course.topic);
    this.#seat = seat;
    this.#sound = new Sound(seat);
  }

  /** What its media has done so far; stays when the call is over. */
  get stats(): CallStats | undefined {
    return this.#seat.course.ending?.stats ?? this.#look((machine, id) => machine.stats(id));
  }

  /** Samples a second inside the call: audio at this rate is not resampled. 8000 before a codec is agreed. */
  get rate(): number {
    return this.#look((machine, id) => machine.rate(id)) ?? 8_000;
  }

  /**
   * Queues samples to be sent, `rate` a second, and returns at once. Returns how many were taken: fewer than given when
   * a minute already waits.
   */
  writeAudio(rate: number, samples: Samples): number {
    return this.#sound.writeAudio(rate, samples);
  }

  /**
   * Waits for `count` samples of what is heard, and takes them. Resolves with fewer only when `count` is more than half
   * a second, or at the end of the call; with none when it is over and everything was read.
   */
  readAudio(rate: number, count: number, options?: WaitOptions): Promise<Int16Array> {
    return this.#sound.readAudio(rate, count, options);
  }

  /** Takes what was heard and not read, `count` samples at most. Never waits. */
  takeAudio(rate: number, count?: number): Int16Array {
    return this.#sound.takeAudio(rate, count);
  }

  /** Takes `count` samples of what was heard, and silence where there is none. Never waits. */
  readAudioOrSilence(rate: number, count: number): Int16Array {
    return this.#sound.readAudioOrSilence(rate, count);
  }

  /**
   * Plays a WAV, by its file or its bytes, or samples; resolves when the last of it has really been sent. Two at once
   * take turns. A signal stops it at once. Rejects with `file` and `wav` for what cannot be played, and with `ended` when
   * the call is over first.
   */
  play(source: PlaySource, options?: WaitOptions): Promise<void> {
    return this.#sound.play(source, options);
  }

  /**
   * Records the call from now on until it ends, or `stop` of the recording: left what is sent, right what is heard.
   * Without a file, in memory: `stop` resolves with the WAV.
   */
  record(options?: RecordOptions): Promise<Recording<Uint8Array>>;
  record(file: string | URL, options?: RecordOptions): Promise<Recording<void>>;
  record(
    file?: string | URL | RecordOptions,
    options?: RecordOptions,
  ): Promise<Recording<Uint8Array> | Recording<void>> {
    if (typeof file === "string" || file instanceof URL) return this.#sound.record(file, options);
    return this.#sound.record(file);
  }

  /**
   * Sets a mark after what was written so far. Resolves with whether the sound before it was sent; `false` when it
   * was dropped, or the call is over. The event `mark` says the same. Throws `too_many_marks` when 256 wait.
   */
  mark(name: string): Promise<boolean> {
    return this.#sound.mark(name);
  }

  /** Drops the sound that waits to be sent; returns how many seconds that was. */
  flushAudio(): number {
    return this.#sound.flushAudio();
  }

  /** How many seconds of what was written have been sent. */
  get played(): number {
    return this.#sound.played;
  }

  /** How many seconds of what was written wait to be sent. */
  get queued(): number {
    return this.#sound.queued;
  }

  /** What is heard, as a stream of the Web, until the call is over. */
  readable(rate: number): ReadableStream<Int16Array> {
    return this.#sound.readable(rate);
  }

  /** What is to be sent, as a stream of the Web, which takes no more than is sent soon. */
  writable(rate: number): WritableStream<Samples> {
    return this.#sound.writable(rate);
  }

  /**
   * Sends digits: `0` to `9`, `*`, `#`, `A` to `D`. They queue; the event `dtmfSent` marks their end. Throws
   * `invalid_state` before there is media, and `dtmf` for another character or when the far end takes no digits.
   */
  sendDtmf(digits: string): void {
    this.#seat.course.act((machine, id) => machine.sendDtmf(id, text("text of digits", digits)));
  }

  /** Takes `count` digits, once there are as many. Rejects with `ended` when the call is over first; `takeDtmf` then has those that did come. */
  async readDtmf(count = 1, options?: WaitOptions): Promise<string> {
    return readDigits(this.#seat.course, count, options?.signal);
  }

  /** Takes digits that came and were not taken, oldest first: at most `length`, or all. Never waits. */
  takeDtmf(length?: number | null): string {
    return this.#seat.course.takeDigits(length ?? undefined);
  }

  /** The digits as they come, until the call is over: `for await (const digit of call.dtmf)`. Each has one taker. */
  get dtmf(): AsyncIterable<string> {
    return digits(this.#seat.course);
  }

  #look<T>(ask: (machine: Machine, id: number) => T): T | undefined {
    const { driver, id, course } = this.#seat;
    return course.ending ? undefined : driver.look((machine) => ask(machine, id));
  }
}
