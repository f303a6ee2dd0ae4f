// What can be played.
import { OffhookError } from "../errors.js";
import type { Host } from "../host.js";
import { readWav } from "../wav.js";
import { checkRate, toInt16, type Sampled, type Sampled16 } from "./samples.js";

/** What can be played: a WAV file, the bytes of one, or samples. */
export type PlaySource = string | URL | Uint8Array | ArrayBuffer | Sampled;

/**
 * The samples of a source. Rejects with `file` when it cannot be read, with `wav` when it cannot be played,
 * with `invalid_value` for samples or a rate that are none.
 */
export async function samplesOf(source: PlaySource, host: Pick<Host, "load"> | undefined): Promise<Sampled16> {
  if (typeof source === "string" || source instanceof URL) {
    const bytes = await load(source, host);
    return wavOf(bytes, `${String(source)}: `);
  }
  if (source instanceof ArrayBuffer) return wavOf(new Uint8Array(source));
  if (source instanceof Uint8Array) return wavOf(source);
  const { rate, samples } = source;
  checkRate(rate);
  return { rate, samples: toInt16(samples) };
}

async function load(file: string | URL, host: Pick<Host, "load"> | undefined): Promise<Uint8Array> {
  if (!host?.load) {
    throw new OffhookError("file", `${String(file)}: this host reads no files: give the file's bytes`);
  }
  return host.load(file);
}

function wavOf(bytes: Uint8Array, whose = ""): Sampled16 {
  try {
    const { rate, samples } = readWav(bytes);
    checkRate(rate);
    return { rate, samples };
  } catch (cause) {
    if (!(cause instanceof OffhookError) || cause.code === "not_loaded") throw cause;
    throw new OffhookError("wav", whose + cause.message, { cause });
  }
}
