// A call without a network, in a time that passes when a test says so: what the sound of a call runs on.
import { Sound } from "../dist/sound/sound.js";
import { OffhookError } from "../dist/errors.js";
import { readWav, resample } from "../dist/offhook_wasm.js";

const RATE = 8_000;
const FRAME = RATE / 50;

/** A machine with one call, at 8 kHz and no other rate. */
class StillMachine {
  state = "answered";
  /** What the far end will say. */
  heard = [];
  /** What the far end was told. */
  sent = [];
  unread = [];
  waiting = [];
  marks = [];
  events = [];
  #played = 0;
  #tap;

  writeAudio(_call, _rate, samples) {
    // Room for a minute, as in the core.
    const taken = samples.subarray(0, Math.max(0, 60 * RATE - this.waiting.length));
    this.waiting.push(...taken);
    return taken.length;
  }

  readAudio(_call, _rate, out) {
    const samples = this.unread.splice(0, out.length);
    out.set(samples);
    return samples.length;
  }

  available = () => this.unread.length;
  queued = () => this.waiting.length / RATE;
  played = () => this.#played / RATE;
  rate = () => RATE;
  tapRate = () => (this.#tap?.length ? RATE : undefined);

  mark(_call, name) {
    if (this.marks.length >= 256) return false;
    this.marks.push({ name, after: this.#played + this.waiting.length });
    this.#tell();
    return true;
  }

  flushAudio() {
    const dropped = this.waiting.splice(0).length;
    for (const { name } of this.marks.splice(0)) this.events.push({ type: "mark", name, played: false });
    return dropped / RATE;
  }

  setTap(_call, on) {
    if (this.state !== "answered") return false;
    this.#tap = on ? (this.#tap ?? []) : undefined;
    return true;
  }

  takeTap() {
    return Int16Array.from(this.#tap.splice(0));
  }

  /** Twenty milliseconds go by. */
  frame() {
    if (this.state !== "answered") return;
    const sent = this.waiting.splice(0, FRAME);
    this.#played += sent.length;
    const heard = this.heard.splice(0, FRAME);
    this.sent.push(...sent);
    // The last second is kept.
    this.unread.push(...heard);
    this.unread.splice(0, this.unread.length - RATE);
    for (let i = 0; i < FRAME && this.#tap; i += 1) this.#tap.push(sent[i] ?? 0, heard[i] ?? 0);
    this.#tap?.splice(0, this.#tap.length - 2 * 2 * RATE);
    this.#tell();
  }

  #tell() {
    while (this.marks[0]?.after <= this.#played) {
      this.events.push({ type: "mark", name: this.marks.shift().name, played: true });
    }
  }
}

/** A call that is answered, and its sound. */
export class StillCall {
  machine = new StillMachine();
  /** Microseconds. */
  time = 0;
  #looks = new Set();
  #listeners = [];
  #waiters = [];

  constructor(host = undefined) {
    const driver = {
      look: (ask) => ask(this.machine),
      act: (command) => {
        const result = command(this.machine);
        this.settle();
        return result;
      },
      afterSettle: (look) => {
        this.#looks.add(look);
        return () => this.#looks.delete(look);
      },
      now: () => this.time,
      host,
      glue: { readWav, resample },
    };
    const machine = this.machine;
    const course = {
      get state() {
        return machine.state;
      },
      over: () => new OffhookError("ended", "the call is over: the far end ended it"),
      until: (find) =>
        new Promise((resolve, reject) => {
          const look = () => {
            try {
              const found = find();
              if (found !== undefined) resolve(found);
              return found !== undefined;
            } catch (error) {
              reject(error);
              return true;
            }
          };
          if (!look()) this.#waiters.push(look);
        }),
      topic: { on: (type, listener) => this.#listeners.push({ type, listener }) },
    };
    this.sound = new Sound({ driver, id: 1, course });
  }

  /** How many wait for time to pass. */
  get looks() {
    return this.#looks.size;
  }

  settle() {
    for (const event of this.machine.events.splice(0)) this.#tell(event);
    for (const look of this.#looks) look();
  }

  /** Lets time pass, and everybody do what comes of it. */
  async pass(ms) {
    await turn();
    for (let passed = 0; passed < ms; passed += 20) {
      this.time += 20_000;
      this.machine.frame();
      this.settle();
      await turn();
    }
  }

  /** The far end hangs up. */
  async end() {
    this.machine.state = "ended";
    this.machine.marks.splice(0);
    this.#tell({ type: "ended" });
    this.settle();
    await turn();
  }

  answer() {
    this.machine.state = "answered";
    this.#waiters = this.#waiters.filter((look) => !look());
  }

  #tell(event) {
    for (const { type, listener } of this.#listeners) if (type === event.type) listener(event);
    this.#waiters = this.#waiters.filter((look) => !look());
  }
}

const turn = () => new Promise(setImmediate);
