// Playing to a call and listening to it.
import { crossing, text } from "../checks.js";
import { OffhookError } from "../errors.js";
import { Waiters, type WaitOptions } from "../waiting.js";
import { Marks } from "./marks.js";
import { Player, type Until } from "./player.js";
import type { Recording, RecordOptions } from "./recording.js";
import { checkCount, checkRate, toInt16, type Samples } from "./samples.js";
import type { SoundMachine, SoundSeat } from "./seat.js";
import { samplesOf, type PlaySource } from "./source.js";
import { readableOf, writableOf } from "./streams.js";
import { Tap } from "./tap.js";
import { Unread } from "./unread.js";

/** What is left of a call's sound when it is over. */
interface Rest {
  readonly unread: Unread;
  readonly played: number;
  readonly queued: number;
}

/** The sound of a call. */
export class Sound {
  readonly #seat: SoundSeat;
  readonly #waiters = new Waiters();
  readonly #player: Player;
  readonly #marks: Marks;
  readonly #tap: Tap;
  /** Ends our looking for those who wait. */
  #idle: (() => void) | undefined;
  /** At which rate it was read last. */
  #rate: number | undefined;
  #rest: Rest | undefined;

  constructor(seat: SoundSeat) {
    this.#seat = seat;
    const until: Until = (find, signal) => this.#until(find, signal);
    this.#player = new Player(seat, until, () => void this.flushAudio());
    this.#marks = new Marks(seat.course);
    this.#tap = new Tap(seat);
    seat.course.topic.on("ended", () => this.#close());
  }

  /** See `Call`, as all that follows. */
  writeAudio(rate: number, samples: Samples): number {
    const written = toInt16(samples);
    checkRate(rate);
    this.#needMedia("write audio to");
    return this.#seat.driver.act((machine) => machine.writeAudio(this.#seat.id, rate, written));
  }

  async readAudio(rate: number, count: number, { signal }: WaitOptions = {}): Promise<Int16Array> {
    checkRate(rate);
    checkCount(count);
    // Of a call that we have ended what was heard can still be read.
    if (this.#seat.course.state !== "ended") this.#needMedia("read audio of");
    const enough = Math.min(count, Math.floor(rate / 2));
    return this.#read(rate, enough, count, signal);
  }

  takeAudio(rate: number, count?: number): Int16Array {
    checkRate(rate);
    if (count !== undefined) checkCount(count);
    return this.#take(rate, count);
  }

  readAudioOrSilence(rate: number, count: number): Int16Array {
    const heard = this.takeAudio(rate, count);
    const samples = new Int16Array(count);
    samples.set(heard);
    return samples;
  }

  async play(source: PlaySource, { signal }: WaitOptions = {}): Promise<void> {
    this.#needMedia("play to");
    await this.#player.play(samplesOf(source, this.#seat.driver), signal);
  }

  record(options?: RecordOptions): Promise<Recording<Uint8Array>>;
  record(file: string | URL, options?: RecordOptions): Promise<Recording<void>>;
  async record(
    file?: string | URL | RecordOptions,
    options?: RecordOptions,
  ): Promise<Recording<Uint8Array> | Recording<void>> {
    if (this.#isOver) throw this.#seat.course.over();
    if (!(typeof file === "string" || file instanceof URL)) return this.#tap.toMemory(file ?? {});
    const { host } = this.#seat.driver;
    if (!host?.create) {
      throw new OffhookError("file", `${String(file)}: this host makes no files: record without one`);
    }
    // Sound is kept from now on, not from when there is a file.
    const sink = host.create(file);
    const recording = this.#tap.toFile(sink, options ?? {});
    try {
      await sink;
    } catch (error) {
      await recording.stop().catch(() => {});
      throw error;
    }
    return recording;
  }

  mark(name: string): Promise<boolean> {
    this.#needMedia("set a mark in");
    const { driver, id } = this.#seat;
    const mark = crossing(text("name of a mark", name));
    return this.#marks.set(mark, () => driver.act((machine) => machine.mark(id, mark)));
  }

  flushAudio(): number {
    if (this.#isOver) return 0;
    return this.#seat.driver.act((machine) => machine.flushAudio(this.#seat.id));
  }

  get played(): number {
    return this.#rest?.played ?? this.#look((machine) => machine.played(this.#seat.id));
  }

  get queued(): number {
    return this.#rest?.queued ?? this.#look((machine) => machine.queued(this.#seat.id));
  }

  readable(rate: number): ReadableStream<Int16Array> {
    checkRate(rate);
    return readableOf(this, rate);
  }

  writable(rate: number): WritableStream<Samples> {
    checkRate(rate);
    return writableOf(this, rate);
  }

  /** Waits for so many samples, and takes all there are; none when the call is over and everything was read. */
  async readSome(rate: number, least: number, signal: AbortSignal): Promise<Int16Array> {
    await this.#media(signal).catch((error: unknown) => {
      if (this.#seat.course.state !== "ended") throw error;
    });
    return this.#read(rate, least, undefined, signal);
  }

  /** Sends samples as room comes; before there is media, when there is. */
  async send(rate: number, samples: Samples, signal: AbortSignal): Promise<void> {
    const written = { rate, samples: toInt16(samples) };
    await this.#media(signal);
    await this.#player.write(written, signal);
  }

  /** Resolves when everything has been sent. */
  sent(): Promise<void> {
    return this.#player.finish();
  }

  get #isOver(): boolean {
    return this.#rest !== undefined;
  }

  #look<T>(ask: (machine: SoundMachine) => T): T {
    return this.#seat.driver.look(ask);
  }

  /** Waits for samples and takes them. When the call is over, what is left is all there will be. */
  #read(rate: number, enough: number, most: number | undefined, signal?: AbortSignal): Promise<Int16Array> {
    const { id } = this.#seat;
    return this.#until(() => {
      const isThere = this.#isOver || this.#look((machine) => machine.available(id, rate)) >= enough;
      return isThere ? this.#take(rate, most) : undefined;
    }, signal);
  }

  #take(rate: number, most = Infinity): Int16Array {
    if (this.#rest) return this.#rest.unread.take(rate, most);
    this.#rate = rate;
    const { id } = this.#seat;
    return this.#look((machine) => {
      const samples = new Int16Array(Math.min(most, machine.available(id, rate)));
      return samples.subarray(0, machine.readAudio(id, rate, samples));
    });
  }

  /** Throws unless the call can be played to. */
  #needMedia(command: string): void {
    const { course } = this.#seat;
    const { state } = course;
    if (state === "answered" || state === "progress") return;
    if (state === "ended") throw course.over();
    throw new OffhookError("invalid_state", `cannot ${command} a call that is ${state}`);
  }

  /** Waits until the call can be played to. */
  async #media(signal: AbortSignal): Promise<void> {
    const { course } = this.#seat;
    await course.until(() => {
      const { state } = course;
      if (state === "ended") throw course.over();
      return state === "answered" || state === "progress" ? true : undefined;
    }, signal);
  }

  /** Asks `find` now, whenever time has passed and when the call is over. */
  #until<T>(find: () => T | undefined, signal?: AbortSignal): Promise<T> {
    const found = this.#waiters.until(find, signal);
    if (this.#waiters.size > 0) {
      this.#idle ??= this.#seat.driver.afterSettle(() => {
        this.#waiters.look();
        if (this.#waiters.size === 0) this.#rests();
      });
    }
    return found;
  }

  #rests(): void {
    this.#idle?.();
    this.#idle = undefined;
  }

  /** The call is over: what the machine still has of it is taken, it is the last moment. */
  #close(): void {
    this.#tap.close();
    const { id } = this.#seat;
    const { played, queued } = this;
    const rate = this.#rate ?? this.#look((machine) => machine.rate(id));
    this.#rest = { unread: new Unread(rate, this.#take(rate), this.#seat.driver.glue), played, queued };
    this.#waiters.look();
    this.#rests();
  }
}
