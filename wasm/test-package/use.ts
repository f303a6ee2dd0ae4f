// What the package's users write. Each `@ts-expect-error` stands before what must not compile.
import { load } from "offhook/inline";
import { MediaMachine } from "offhook/media";
import { type Host, load as loadSlim, loadSync, OffhookError, readWav } from "offhook/slim";

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
