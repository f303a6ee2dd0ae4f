// What the package's users write. Each `@ts-expect-error` stands before what must not compile.
import { load } from "offhook/inline";
import { MediaMachine } from "offhook/media";
import {
  Call,
  type CallEvent,
  type CallHooks,
  type Host,
  load as loadSlim,
  loadSync,
  OffhookError,
  Phone,
  readWav,
  type SipHandler,
} from "offhook/slim";
import { type Arrival, type Exchange, load as loadSimulation, ScriptedPeer, Simulation } from "offhook/sim";

export async function right(module: WebAssembly.Module, bytes: Uint8Array<ArrayBuffer>, host: Host): Promise<number> {
  await load();
  await loadSlim(bytes);
  loadSync(module);
  const { rate, samples }: { rate: number; samples: Int16Array } = readWav(bytes);
  const machine = new MediaMachine(module, bytes);
  machine.writeAudio(rate, samples);
  host.releaseMedia(1);
  return machine.nextDeadline;
}

export function refused(error: unknown): string | undefined {
  if (!(error instanceof OffhookError)) return undefined;
  const status: number | undefined = error.status;
  return `${error.code} ${status}`;
}

/** A class of calls with hooks and a method of its own. */
class Doorbell extends Call implements CallHooks {
  async ringing(): Promise<void> {
    await this.answer({ signal: AbortSignal.timeout(1_000) });
  }
  onDtmf(digit: string): void {
    if (digit === "#") void this.hangup();
  }
  open(): string {
    return this.from ?? "nobody";
  }
}

const handler: SipHandler = {
  methods: ["PING"],
  requestIn: (request, from) => (request.method === "PING" ? { status: 200, reason: from.address } : "pass"),
};

/** The events are a union: `type` tells what else there is. */
export function told(event: CallEvent): string {
  switch (event.type) {
    case "dtmf":
      return event.digit;
    case "ended":
      return `${event.by} ${event.code ?? 0} ${event.stats.codec ?? ""}`;
    case "referred":
      return event.referral.to;
    default:
      return event.type;
  }
}

export async function telephone(host: Host): Promise<Uint8Array> {
  await using phone = new Phone({ user: "door", callClass: Doorbell, sipHandler: handler, host, transport: "tls" });
  const other: Phone = phone.anotherAccount({ user: "anna", capture: true });
  phone.on("incoming", ({ call, from }) => void `${call.open()} ${from.length}`);
  other.once("message", ({ body }) => void body.byteLength);
  await phone.start();
  for await (const call of phone.incoming()) {
    const opened: string = call.open();
    for await (const digit of call.dtmf) void `${opened} ${digit}`;
    await call.play({ rate: 16_000, samples: new Float32Array(160) });
    await call.readable(8_000).pipeTo(call.writable(8_000));
    const { transferred, code } = await call.transfer("carol", { mode: "notified" });
    const { by }: { by: "local" | "remote" | "timeout" | "error" } = await call.ended();
    void [transferred, code, by];
  }
  const { code, headers } = await phone.request("NOTIFY", "sip:bob@192.0.2.7", { body: new Uint8Array(3) });
  void [code + 1, headers.length];
  const recording = await phone.call("bob", { codecs: ["G722"] }).record({ kept: "received" });
  return recording.stop();
}

export async function misused(phone: Phone, call: Call, event: CallEvent): Promise<void> {
  // @ts-expect-error: a phone is somebody's
  new Phone({ server: "pbx.example.com" });
  // @ts-expect-error: there is no such parameter
  new Phone({ user: "alice", pasword: "secret" });
  // @ts-expect-error: there is no such transport
  new Phone({ user: "alice", transport: "sctp" });
  // @ts-expect-error: a digit is text
  new Phone({ user: "alice", callClass: class extends Call { onDtmf(digit: number) { return digit; } } });
  // @ts-expect-error: it shares the host of the other
  phone.anotherAccount({ user: "anna", host: {} });
  // @ts-expect-error: there is no such event
  phone.on("newRTCSession", () => {});
  // @ts-expect-error: a listener is given one event, not a call
  phone.on("incoming", (call) => call.answer());
  // @ts-expect-error: it has none of that
  call.on("dtmf", ({ key }) => key);
  // @ts-expect-error: only the end has statistics
  event.stats;
  // @ts-expect-error: a phone makes its calls
  new Call();
  // @ts-expect-error: the state is told, not set
  call.state = "ended";
  // @ts-expect-error: samples have a rate
  await call.play(new Int16Array(160));
  // @ts-expect-error: samples are 16-bit or floating point
  call.writeAudio(8_000, new Uint8Array(160));
  // @ts-expect-error: reading waits, taking does not
  const taken: Int16Array = call.readAudio(8_000, 160);
  // @ts-expect-error: there is no such mode
  await call.transfer("carol", { mode: "attended" });
  // @ts-expect-error: the signal stands in the options
  await call.readDtmf(1, AbortSignal.timeout(1));
  // @ts-expect-error: a handler does not wait
  const handler: SipHandler = { requestIn: async () => "drop" };
  void [taken, handler];
}

export async function wrong(machine: MediaMachine, error: OffhookError, host: Host): Promise<void> {
  // @ts-expect-error: without its module there is nothing to load
  await loadSlim();
  // @ts-expect-error: a file's name is no WAV
  readWav("welcome.wav");
  // @ts-expect-error: samples are 16-bit
  machine.writeAudio(8_000, new Float32Array(160));
  // @ts-expect-error: it is read only
  error.code = "mine";
  // @ts-expect-error: there is no such transport
  host.openFlow({ id: 1, transport: "SCTP", address: "192.0.2.1", port: 5060, name: "example.com" });
}

export async function simulated(): Promise<string> {
  await loadSimulation();
  const sim = new Simulation({ seed: 7n });
  const exchange: Exchange = sim.exchange("10.0.0.1", { users: { alice: "a" }, transports: ["UDP", "TLS"] });
  const phone: Phone = sim.phone("10.0.0.2", { server: "10.0.0.1", user: "alice", password: "a" });
  const peer: ScriptedPeer = sim.peer("10.0.0.3", (message: Arrival, self) => self.reply(message, "486 Busy Here"));
  sim.link("10.0.0.2", "10.0.0.3", { delay: 40, burst: { enterPermille: 5, leavePermille: 200, lossPermille: 800 } });
  sim.nat({ inside: ["10.0.0.2"], public: "203.0.113.1", kind: "symmetric" });
  sim.name("pbx.example.com", ["10.0.0.1"]);
  const call: Call = phone.call("sip:carol@10.0.0.3");
  const [, answer]: [void, number] = await sim.until(Promise.all([call.answered(), 1]), { limit: 60_000 });
  await sim.sleep(answer, { signal: AbortSignal.timeout(1) });
  const contacts: string[] | undefined = exchange.contacts("alice");
  return `${contacts} ${peer.last("INVITE")?.header("Call-ID")} ${sim.traceHash}`;
}

export function wrongSimulation(sim: Simulation): void {
  // @ts-expect-error: what happens follows from a number
  new Simulation({ seed: "seven" });
  // @ts-expect-error: a phone of a simulation has no host
  sim.phone("10.0.0.2", { user: "alice", host: {} });
  // @ts-expect-error: a translator has a kind
  sim.nat({ inside: ["10.0.0.2"], public: "203.0.113.1" });
  // @ts-expect-error: time passes by itself
  sim.now = 5;
  // @ts-expect-error: the network makes its peers
  sim.peer(new ScriptedPeer());
}
