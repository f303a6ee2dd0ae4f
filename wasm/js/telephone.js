// The driver of the machine in WebAssembly, for any host. A host is a class that extends it and
// gives it what is its own: sockets, names, the memory of the module.
import { Call } from "./call.js";
import { Emitter } from "./emitter.js";
import { packets } from "./packets.js";

/** The time as the machine wants it: microseconds on a clock that never goes back. */
export const now = () => performance.now() * 1_000;

/** Emits each PhoneEvent by its type; `incoming` with a Call. */
export class Telephone extends Emitter {
  #memory;
  #calls = new Map();
  #timer;
  #due;
  #open = false;
  /** Why the last start has failed before the machine was started. */
  #unopened;

  constructor(machine, memory) {
    super();
    /** The machine; only look at it, and act through `cross`. */
    this.machine = machine;
    this.#memory = memory;
  }

  get status() {
    return this.#unopened ? "failed" : this.machine.status;
  }

  /** Resolves when the phone is registered, or ready where there is no server. */
  async start() {
    if (!this.#open) await this.#bind();
    this.#open = true;
    let refusal;
    const note = (event) => (refusal = event);
    this.on("registrationFailed", note);
    this.cross((machine) => machine.start());
    await this.until(() => this.status !== "registering");
    this.off("registrationFailed", note);
    if (this.status === "registered") return;
    this.#end();
    const here = refusal?.error?.message ?? "no answer";
    const why = refusal?.code ? `${refusal.code} ${refusal.reason}` : here;
    throw failure("registration_failed", `registration failed: ${why}`, refusal?.code);
  }

  /** Binds the sockets; a failure is told like that of a registration. */
  async #bind() {
    const { bindAddress, bindPort } = this.machine;
    this.#unopened = undefined;
    try {
      await this.open(bindAddress, bindPort);
    } catch (error) {
      const message = `cannot listen on ${bindAddress} port ${bindPort}: ${error.message}`;
      this.#unopened = Object.assign(failure("bind", message), { cause: error });
      this.emit("status", { type: "status", status: "failed" });
      throw this.#unopened;
    }
  }

  /** Ends every call, takes the registration back and closes everything. */
  async stop() {
    this.#unopened = undefined;
    this.cross((machine) => machine.stop());
    await this.until(() => this.status === "inactive" || this.status === "failed");
    this.#end();
  }

  /** Says that the network has changed: the phone registers anew, and its calls go on from there. */
  networkChanged() {
    this.cross((machine) => machine.networkChanged());
  }

  /** Calls a SIP URI, or a name or number at the server. */
  call(target, options) {
    return this.cross((machine) => this.#add(machine.call(target, options)));
  }

  /** Sends an instant message: text, or the bytes of any type. Resolves when it has been taken. */
  async message(target, body, contentType = "text/plain") {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    const answer = await this.answer((machine) => machine.message(target, bytes, contentType));
    const { code, reason } = answer;
    if (code >= 200 && code < 300) return answer;
    throw failure("rejected", `the message was refused: ${code} ${reason}`, code);
  }

  /** Asks what a target can do, a SIP ping. Resolves with the answer, whatever its status. */
  options(target) {
    return this.answer((machine) => machine.options(target));
  }

  /** Sends a request of any other method. Resolves with the answer, whatever its status. */
  request(method, target, options = undefined) {
    return this.answer((machine) => machine.request(method, target, options));
  }

  /** The answer to the request that a command sends: its event `response`. */
  async answer(command) {
    const answers = [];
    const note = (event) => answers.push(event);
    this.on("response", note);
    try {
      const number = this.cross(command);
      const found = () => answers.find(({ request }) => request === number);
      await this.until(() => found() || !this.#open);
      const { code, reason, headers, body, roundTripMs, error } = found() ?? {};
      if (code) return { code, reason, headers, body, roundTripMs };
      throw error ?? failure("timeout", "no answer came");
    } finally {
      this.off("response", note);
    }
  }

  /** The calls that come in from now on, until the phone stops. */
  incoming() {
    const waiting = [];
    const take = (call) => waiting.push(call);
    this.on("incoming", take);
    return this.#arrivals(waiting, take);
  }

  async *#arrivals(waiting, take) {
    try {
      while (this.#open) {
        yield* waiting.splice(0);
        await this.until(() => waiting.length > 0 || !this.#open);
      }
    } finally {
      this.off("incoming", take);
    }
  }

  /** Lets something happen to the machine, and does what follows from it. */
  cross(act) {
    let result;
    try {
      result = act(this.machine);
    } catch (error) {
      // What the glue of WebAssembly says of an argument of the wrong type, or of a fault of ours.
      if (error.code) throw error;
      const code = error instanceof WebAssembly.RuntimeError ? "internal" : "invalid_value";
      throw Object.assign(failure(code, `this cannot be done: ${error.message}`), { cause: error });
    }
    this.#settle();
    return result;
  }

  #settle() {
    const machine = this.machine;
    // One round may make the next due at once. The bound lets other work have its turn.
    for (let round = 0; round < 8; round += 1) {
      machine.handleDeadline(now(), Date.now() * 1_000);
      this.#send();
      for (let request; (request = machine.nextRequest()); ) this.fulfil(request);
      if (!(machine.nextDeadline() <= now())) break;
    }
    this.#sleep(machine.nextDeadline());
    for (let event; (event = machine.nextEvent()); ) this.#tell(event);
  }

  #send() {
    const length = this.machine.packetsLength();
    if (length === 0) return;
    const view = new DataView(this.#memory.buffer, this.machine.packetsAt(), length);
    for (const packet of packets(view)) this.send(packet);
    this.machine.packetsTaken();
  }

  #sleep(due) {
    if (due === this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    if (due === undefined) return;
    const wake = () => {
      this.#due = undefined;
      this.#settle();
    };
    // Beyond 2^31 ms setTimeout fires at once; waking early does no harm.
    this.#timer = setTimeout(wake, Math.min(Math.ceil((due - now()) / 1_000), 60_000));
  }

  #tell(event) {
    const call =
      event.type === "incoming" ? this.#add(event.call, event) : this.#calls.get(event.call);
    if (event.type === "ended") this.#calls.delete(event.call);
    const told = event.type === "referred" ? this.#referral(event) : event;
    call?.handle(told);
    this.emit(event.type, event.type === "incoming" ? call : told);
  }

  #add(id, { from, to } = {}) {
    const call = new Call(this, id, from, to);
    this.#calls.set(id, call);
    return call;
  }

  /** What the far end of a call wants: `accept` calls whom it names, `reject` refuses. */
  #referral(event) {
    const { referral } = event;
    const accept = () => this.cross((machine) => this.#add(machine.acceptReferral(referral)));
    const reject = () => this.cross((machine) => machine.rejectReferral(referral));
    return { ...event, accept, reject };
  }

  #end() {
    this.#open = false;
    clearTimeout(this.#timer);
    this.close();
    this.emit("closed");
  }
}

/** An error with a stable code, and the status of the response that is to blame. */
function failure(code, message, status) {
  return Object.assign(new Error(message), { code, status });
}
