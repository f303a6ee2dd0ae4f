// The package in Bun and Deno: the same program as in Node, a call with sound and digits over UDP. They come
// from npm, into OFFHOOK_RUNTIMES.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { command, project } from "./project.js";

const OPTIONS = { timeout: 180_000 };

/** The program of a runtime: its package for this platform is the one that npm has installed. */
function found(scope, program) {
  const folder = join(process.env.OFFHOOK_RUNTIMES ?? "", "node_modules", scope);
  const packages = existsSync(folder) ? readdirSync(folder) : [];
  return packages.map((name) => join(folder, name, program)).find(existsSync);
}

const PROGRAM = `
  import { Phone } from "offhook";
  const phone = (user) => new Phone({ user, bind: "127.0.0.1:0" });
  const [alice, bob] = [phone("alice"), phone("bob")];
  await Promise.all([alice.start(), bob.start()]);
  let digits;
  bob.on("incoming", async ({ call }) => {
    await call.answer();
    digits = call.readDtmf(3);
  });
  const call = alice.call(\`sip:bob@127.0.0.1:\${bob.listening[0].port}\`);
  await call.answered();
  await call.play({ rate: 8000, samples: new Int16Array(8000).fill(1000) });
  call.sendDtmf("195");
  while (!digits) await new Promise((resolve) => setTimeout(resolve, 10));
  const pressed = await digits;
  const { stats } = await call.hangup();
  await Promise.all([alice.close(), bob.close()]);
  console.log(JSON.stringify([pressed, stats.sent >= 50]));
`;

const DENO = ["run", "--no-prompt", "--allow-net", "--allow-read", "--allow-env", "--allow-sys"];

for (const [name, program, ...args] of [
  ["Bun", found("@oven", "bin/bun")],
  ["Deno", found("@deno", "deno"), ...DENO],
]) {
  const skip = !program && `${name} is not installed for this platform`;
  test(`a call under ${name}`, { ...OPTIONS, skip }, async (t) => {
    const folder = await project(t, { "call.mjs": PROGRAM });
    const told = await command(folder, program, ...args, "call.mjs");
    assert.deepEqual(JSON.parse(told), ["195", true]);
  });
}
