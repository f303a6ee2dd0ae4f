// A call as the application holds it: commands go to the phone's machine, events come from it.
import { Emitter } from "./emitter.js";

/** How many events are kept for the first listener to their type. */
const EVENTS = 64;

/** Emits the PhoneEvents of the call by their type: `state`, `dtmf`, `audioSent`, `ended`, ... */
export class Call extends Emitter {
  #phone;
  #end;
  /** The digits that nobody had taken when it ended. */
  #left = "";
  /** Events of types that nobody listens to yet. */
  #kept = [];
  /** The types that somebody has listened to. */
  #heard = new Set();

  constructor(phone, id, from, to) {
    super();
    this.#phone = phone;
    this.id = id;
    /** The caller's and the called URI of a call that came in. */
    Object.assign(this, { from, to });
  }

  /** The first listener to a type is also told what has happened since the call began. */
  on(type, listener) {
    super.on(type, listener);
    const missed = this.#kept.filter((event) => event.type === type);
    this.#kept = this.#kept.filter((event) => event.type !== type);
    this.#heard.add(type);
    for (const event of missed) queueMicrotask(() => listener(event));
    return this;
  }

  get state() {
    return this.#phone.machine.state(this.id) ?? "ended";
  }

  /** What is known about it; `undefined` once it is over. */
  get info() {
    return this.#phone.machine.info(this.id);
  }

  /** What its media has done so far. */
  get stats() {
    return this.#end?.stats ?? this.#phone.machine.stats(this.id);
  }

  async answer() {
    this.#phone.cross((machine) => machine.answer(this.id));
    return this.answered();
  }

  /** Resolves when the call is answered; rejects when it ends unanswered. */
  async answered() {
    await this.until(() => this.#end || this.state === "answered");
    if (!this.#end) return;
    const { code, reason, by, error } = this.#end;
    const why = code ? `${code} ${reason}` : (error?.message ?? by);
    throw Object.assign(new Error(`not answered: ${why}`), { code: "not_answered", status: code });
  }

  /** Resolves with the event `ended`. */
  async ended() {
    await this.until(() => this.#end);
    return this.#end;
  }

  progress() {
    this.#phone.cross((machine) => machine.progress(this.id));
  }

  deny(code = 603, reason = undefined) {
    this.#phone.cross((machine) => machine.deny(this.id, code, reason));
  }

  /** Sends the caller to another URI. */
  redirect(contact) {
    this.#phone.cross((machine) => machine.redirect(this.id, contact));
  }

  async hangup() {
    this.#phone.cross((machine) => machine.hangup(this.id));
    return this.ended();
  }

  async cancel() {
    this.#phone.cross((machine) => machine.cancel(this.id));
    return this.ended();
  }

  /** Ends it by whatever its state allows: hangs it up, cancels it, or denies it with 480. */
  async end() {
    this.#phone.cross((machine) => machine.end(this.id));
    return this.ended();
  }

  /** Puts the far end on hold; resolves when it has agreed. */
  hold() {
    return this.#setHold(true);
  }

  /** Takes the far end off our hold; resolves when it has agreed. */
  resume() {
    return this.#setHold(false);
  }

  async #setHold(held) {
    let told;
    const note = (event) => event.by !== "remote" && event.held === held && (told ??= event);
    super.on("hold", note);
    super.on("holdFailed", note);
    try {
      this.#phone.cross((machine) => (held ? machine.hold(this.id) : machine.resume(this.id)));
      await this.until(() => told || this.#end);
    } finally {
      this.off("hold", note).off("holdFailed", note);
    }
    if (told?.type === "hold") return;
    const { code: status, reason } = told ?? {};
    const why = told ? (status ? `${status} ${reason}` : "nothing has changed") : "the call is over";
    const code = !told ? "ended" : status ? "rejected" : "unchanged";
    throw Object.assign(new Error(`${held ? "hold" : "resume"}: ${why}`), { code, status });
  }

  /**
   * Asks the far end to call somebody else instead. Resolves with what became of it: `transferred`,
   * and the response that says so. Unless it was, the call goes on.
   */
  async transfer(target, options = undefined) {
    let told;
    const note = (event) => event.last && (told = event);
    super.on("transfer", note);
    try {
      this.#phone.cross((machine) => machine.transfer(this.id, target, options));
      await this.until(() => told || this.#end);
    } finally {
      this.off("transfer", note);
    }
    const { outcome = "failed", code, reason } = told ?? {};
    return { transferred: outcome !== "failed", code, reason };
  }

  /** Sends a request of any method within the call: INFO, say. Resolves with the answer. */
  async request(method, options = undefined) {
    return this.#phone.answer((machine) => machine.requestWithin(this.id, method, options));
  }

  /** Queues 16-bit samples, `rate` a second; returns how many were taken. */
  writeAudio(rate, samples) {
    return this.#phone.cross((machine) => machine.writeAudio(this.id, rate, samples));
  }

  /** Takes what was heard and not read yet, `rate` samples a second. */
  readAudio(rate) {
    return this.#phone.cross((machine) => {
      const samples = new Int16Array(machine.available(this.id, rate));
      return samples.subarray(0, machine.readAudio(this.id, rate, samples));
    });
  }

  /** The same, of `length` samples: where too little was heard, silence. */
  readAudioOrSilence(rate, length) {
    const samples = new Int16Array(length);
    this.#phone.cross((machine) => machine.readAudio(this.id, rate, samples));
    return samples;
  }

  /** How many seconds of what was written have been sent, and wait to be. */
  get played() {
    return this.#phone.machine.played(this.id);
  }

  get queued() {
    return this.#phone.machine.queued(this.id);
  }

  /** Drops what waits to be sent; returns how many seconds that was. */
  flushAudio() {
    return this.#phone.cross((machine) => machine.flushAudio(this.id));
  }

  /** Sets a mark after what was written; the event `mark` tells when it was played, or dropped. */
  mark(name) {
    return this.#phone.cross((machine) => machine.mark(this.id, name));
  }

  /**
   * Sends samples, or, given alone, a WAV: its bytes or its file. Resolves when the last sample has left,
   * or the call is over.
   */
  async play(rate, samples = undefined) {
    if (!samples) {
      const wav = await this.#phone.load(rate);
      return this.play(wav.rate, wav.samples);
    }
    // Without samples there is no end to be told.
    let sent = samples.length === 0;
    const note = () => (sent = true);
    super.on("audioSent", note);
    try {
      for (let rest = samples; rest.length > 0; ) {
        rest = rest.subarray(this.writeAudio(rate, rest));
        sent = false;
        // The machine keeps a minute of audio.
        if (rest.length > 0) await new Promise((resolve) => setTimeout(resolve, 1_000));
        if (this.state === "ended") return;
      }
      await this.until(() => this.#end || sent);
    } finally {
      this.off("audioSent", note);
    }
  }

  sendDtmf(digits) {
    this.#phone.cross((machine) => machine.sendDtmf(this.id, digits));
  }

  /** Resolves with that many digits, or with fewer when the call ends. */
  async readDtmf(count = 1) {
    await this.until(() => this.#end || this.#phone.machine.availableDtmf(this.id) >= count);
    return this.takeDtmf(count);
  }

  /** Takes digits that came, at most `length`; without it, or with `null`, all. */
  takeDtmf(length = undefined) {
    const most = (length ?? -1) < 0 ? undefined : length;
    if (!this.#end) return this.#phone.machine.takeDtmf(this.id, most);
    const taken = this.#left.slice(0, most);
    this.#left = this.#left.slice(taken.length);
    return taken;
  }

  /** Takes an event of the phone. */
  handle(event) {
    if (event.type === "ended") {
      this.#left = this.takeDtmf();
      this.#end = event;
    }
    if (!this.#heard.has(event.type)) this.#kept = [...this.#kept, event].slice(-EVENTS);
    this.emit(event.type, event);
  }
}
