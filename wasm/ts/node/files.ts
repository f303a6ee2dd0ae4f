// The files that sound is played from and recorded to.
import { open, readFile } from "node:fs/promises";
import { OffhookError } from "../errors.js";
import type { FileSink } from "../host.js";

/** Reads a file. Rejects with `file`. */
export async function load(file: string | URL): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw unusable(file, cause as NodeJS.ErrnoException);
  }
}

/** Makes a file, or empties it. Rejects with `file`, and so does what writes to it. */
export async function create(file: string | URL): Promise<FileSink> {
  const refused = (cause: NodeJS.ErrnoException): never => {
    throw unusable(file, cause);
  };
  const handle = await open(file, "w").catch(refused);
  return {
    async write(bytes, position) {
      for (let done = 0; done < bytes.length; ) {
        const rest = bytes.subarray(done);
        const { bytesWritten } = await handle.write(rest, 0, rest.length, position + done).catch(refused);
        done += bytesWritten;
      }
    },
    close: () => handle.close().catch(refused),
  };
}

function unusable(file: string | URL, cause: NodeJS.ErrnoException): OffhookError {
  const problem = cause.code === "ENOENT" ? "there is no such file" : cause.message;
  return new OffhookError("file", `${String(file)}: ${problem}`, { cause });
}
