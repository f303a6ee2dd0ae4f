// The package as it is installed, in use under Node.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { command, project } from "./project.js";

const OPTIONS = { timeout: 180_000 };

/** Two telephones, one of which asks whether the other is there. */
const PROGRAM = `
  const phone = (user) => new Phone({ user, bind: "127.0.0.1:0" });
  const [alice, bob] = [phone("alice"), phone("bob")];
  await Promise.all([alice.start(), bob.start()]);
  const { code } = await alice.options(\`sip:bob@127.0.0.1:\${bob.listening[0].port}\`);
  await Promise.all([alice.stop(), bob.stop()]);
  console.log(code);
`;

test("what is installed is the package alone, and runs", OPTIONS, async (t) => {
  const folder = await project(t, { "use.mjs": `import { Phone } from "offhook";${PROGRAM}` });
  assert.equal((await command(folder, "node", "use.mjs")).trim(), "200");
  const installed = (await readdir(join(folder, "node_modules"))).filter((name) => !name.startsWith("."));
  assert.deepEqual(installed, ["offhook"]);
  const files = await readdir(join(folder, "node_modules/offhook"));
  for (const name of ["LICENSE-APACHE", "LICENSE-MIT", "README.md"]) assert.ok(files.includes(name), name);
});

test("require takes it too", OPTIONS, async (t) => {
  const program = `const { Phone } = require("offhook"); (async () => {${PROGRAM}})();`;
  const folder = await project(t, { "use.cjs": program });
  assert.equal((await command(folder, "node", "--no-warnings", "use.cjs")).trim(), "200");
});

test("before it is loaded it says so, and where the module is brought along it runs", OPTIONS, async (t) => {
  const folder = await project(t, {
    "use.mjs": `
      import { readFile } from "node:fs/promises";
      import { load, readWav } from "offhook/slim";
      const refusal = () => { try { readWav(new Uint8Array(9)); } catch ({ code, message }) { return [code, message]; } };
      const early = refusal();
      const failed = await load("http://127.0.0.1:1/offhook.wasm").catch(({ code }) => code);
      await load(readFile(new URL(import.meta.resolve("offhook/offhook.wasm"))));
      console.log(JSON.stringify([early, failed, refusal()[0]]));
    `,
  });
  const [early, failed, late] = JSON.parse(await command(folder, "node", "use.mjs"));
  assert.equal(early[0], "not_loaded");
  assert.match(early[1], /await load\(\)/);
  assert.equal(failed, "load");
  assert.equal(late, "wav");
});

test("the module of the media machine stands alone", OPTIONS, async (t) => {
  const folder = await project(t, {
    "use.mjs": `
      import { readFile } from "node:fs/promises";
      import { MediaMachine } from "offhook/media";
      const bytes = await readFile(new URL(import.meta.resolve("offhook/media.wasm")));
      const machine = new MediaMachine(new WebAssembly.Module(bytes), new Uint8Array(16));
      console.log(machine.nextDeadline);
    `,
  });
  assert.equal((await command(folder, "node", "use.mjs")).trim(), "Infinity");
});
