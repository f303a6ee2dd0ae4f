// The native command, for tests: OFFHOOK_BIN, or target/debug/offhook.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";

const built = fileURLToPath(new URL("../../target/debug/offhook", import.meta.url));
const binary = process.env.OFFHOOK_BIN ?? built;
const isMissing = !process.env.OFFHOOK_BIN && !existsSync(binary);

/** Why tests that need it are skipped; false when it is there. */
export const missing = isMissing && `${binary} is missing: run cargo build`;

/** Starts it; it ends with the test at the latest. */
export function offhook(t, ...args) {
  const child = spawn(binary, [...args, "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  // Everything is read at once: it waits where nobody reads what it says.
  const said = new PassThrough({ objectMode: true });
  createInterface({ input: child.stdout }).on("line", (line) => said.write(line)).on("close", () => said.end());
  const lines = said[Symbol.asyncIterator]();
  const event = async (...types) => {
    for (let line; !(line = await lines.next()).done; ) {
      const event = JSON.parse(line.value);
      if (types.includes(event.event)) return event;
      assert.notEqual(event.event, "error", line.value);
    }
    throw new Error(`offhook ${args[0]} ended without ${types}`);
  };
  return { event, end: () => child.kill("SIGTERM") };
}

const USERS = ["alice:a", "bob:b"];

/** Starts an exchange that listens for every transport; its address for each, as `server` wants it. */
export async function exchange(t, options = {}) {
  const { transports = ["udp"], certificate, users = USERS, more = [] } = options;
  const { certFile, keyFile } = certificate ?? {};
  const files = certificate ? ["--cert-file", certFile, "--key-file", keyFile] : [];
  const listen = transports.flatMap((transport) => ["--listen", `127.0.0.1:0/${transport}`]);
  const known = users.flatMap((user) => ["--user", user]);
  const command = offhook(t, "exchange", ...listen, ...known, ...files, ...more);
  const servers = {};
  for (let count = 0; count < transports.length; count += 1) {
    const { transport, local } = await command.event("listening");
    servers[transport.toLowerCase()] = local;
  }
  return servers;
}
