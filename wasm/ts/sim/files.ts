// Files, while time stands still.
import type { Host } from "../host.js";

let found: Pick<Host, "load" | "create"> = {};

/** Says where files are read and made. */
export function setFiles(files: Pick<Host, "load" | "create">): void {
  found = files;
}

/** The same, each piece of work done by `outside`. */
export function files(outside: <T>(work: Promise<T>) => Promise<T>): Pick<Host, "load" | "create"> {
  const { load, create } = found;
  return {
    ...(load && { load: (file) => outside(load(file)) }),
    ...(create && {
      create: async (file) => {
        const sink = await outside(create(file));
        return {
          write: (bytes, position) => outside(sink.write(bytes, position)),
          close: () => outside(sink.close()),
        };
      },
    }),
  };
}
