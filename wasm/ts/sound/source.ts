// What can be played.
import type { Glue } from "../driver.js";
import { OffhookError } from "../errors.js";
import { checkRate, toInt16, type Sampled, type Sampled16 } from "./samples.js";
import type { SoundDriver } from "./seat.js";

/** What can be played: a WAV file, the bytes of one, or samples. */
export type PlaySource = string | URL | Uint8Array | ArrayBuffer | Sampled;

/**
 * The samples of a source. Rejects with `file` when it cannot be read, with `wav` when it cannot be played,
 * with `invalid_value` for samples or a rate that are none.
 */
export async function samplesOf(source: PlaySource, { host, glue }: Reader): Promise<Sampled16> {
  if (typeof source === "string" || source instanceof URL) {
    const bytes = await load(source, host);
    return wavOf(bytes, glue, `${String(source)}: `);
  }
  if (source instanceof ArrayBuffer) return wavOf(new Uint8Array(source), glue);
  if (source instanceof Uint8Array) return wavOf(source, glue);
  if (typeof source !== "object" || source === null) {
    const problem = "what is played is a WAV file, the bytes of one, or samples with their rate";
    throw new OffhookError("invalid_value", `${String(source)} cannot be played: ${problem}`);
  }
  const { rate, samples } = source;
  checkRate(rate);
  return { rate, samples: toInt16(samples) };
}

type Reader = Pick<SoundDriver, "host" | "glue">;

async function load(file: string | URL, host: Reader["host"]): Promise<Uint8Array> {
  if (!host?.load) {
    throw new OffhookError("file", `${String(file)}: this host reads no files: give the file's bytes`);
  }
  return host.load(file);
}

function wavOf(bytes: Uint8Array, glue: Glue, whose = ""): Sampled16 {
  try {
    const { rate, samples } = glue.readWav(bytes);
    checkRate(rate);
    return { rate, samples };
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new OffhookError("wav", whose + problem, { cause });
  }
}
