// WAV files.
import { OffhookError } from "./errors.js";
import { moduleMemory } from "./module.js";
import { readWav as read, type Wav } from "./offhook_wasm.js";

/**
 * The sound of a WAV file, given its bytes: PCM, floating point, A-law or mu-law, at any rate. Throws `wav` for
 * what is none.
 */
export function readWav(file: Uint8Array): Wav {
  moduleMemory();
  try {
    return read(file);
  } catch (cause) {
    throw new OffhookError("wav", cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
