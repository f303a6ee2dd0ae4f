// WAV files.
import { moduleMemory } from "./module.js";
import { readWav as read, type Wav } from "./offhook_wasm.js";

/** The sound of a WAV file, given its bytes: PCM, floating point, A-law or mu-law, at any rate. */
export function readWav(file: Uint8Array): Wav {
  moduleMemory();
  return read(file);
}
