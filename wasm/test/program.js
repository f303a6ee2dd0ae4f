// Other people's programs that tests need, as children that never outlive the test.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/**
 * Why tests that need these programs are skipped; false when all are installed. With OFFHOOK_PEERS=required, as
 * `cargo xtask test` sets it under CI, a program that is not there is an error.
 */
export function lacking(...programs) {
  const folders = (process.env.PATH ?? "").split(delimiter).concat("/usr/sbin");
  const missing = programs.find((program) => !folders.some((folder) => existsSync(join(folder, program))));
  const why = missing && `${missing} is not installed (cargo xtask test tools)`;
  assert.ok(!why || process.env.OFFHOOK_PEERS !== "required", `${why}, and OFFHOOK_PEERS=required`);
  return why ?? false;
}

/** A directory that is gone after the test. */
export function directory(t) {
  const path = mkdtempSync(join(tmpdir(), "offhook-peers-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

// It ends with us too: our end of the pipe closes when we die, however we do.
const GUARD = 'exec 3<&0; { read -r end <&3; kill -KILL 0; } & "$@" 3<&- </dev/null & wait $!';

/** Starts a program in a directory; `log()` is what it has printed. */
export function start(t, cwd, ...line) {
  const child = spawn("sh", ["-c", GUARD, ...line.slice(0, 1), ...line], { cwd, detached: true });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (log += text));
  const program = { log: () => log, hasEnded: false };
  const ended = once(child, "close").then(() => (program.hasEnded = true));
  t.after(async () => {
    // The whole group, with what the program has started.
    if (!program.hasEnded) process.kill(-child.pid, "SIGKILL");
    await ended;
  });
  return program;
}

let next = 0;

/**
 * A port that nobody has at `address`, over UDP or TCP, outside of those that the system hands out. Elsewhere in
 * another process.
 */
export async function freePort(address = "127.0.0.1") {
  const [low, count] = [17_000, 7_000];
  for (;;) {
    const port = low + ((process.pid * 61 + (next += 1)) % count);
    const datagrams = createSocket("udp4").bind({ port, address, exclusive: true });
    const connections = createServer().listen({ port, host: address });
    const isFree = (socket) => once(socket, "listening").then(() => true, () => false);
    const free = await Promise.all([datagrams, connections].map(isFree));
    datagrams.close();
    connections.close();
    if (!free.includes(false)) return port;
  }
}

/** Waits until `look` says yes, asking again and again; `program` must not end meanwhile. */
export async function until(what, program, look) {
  const end = performance.now() + 30_000;
  while (!(await look())) {
    assert.ok(!program.hasEnded, `there is no ${what}:\n${program.log()}`);
    assert.ok(performance.now() < end, `waited in vain for ${what}:\n${program.log()}`);
    await new Promise((again) => setTimeout(again, 20));
  }
}
