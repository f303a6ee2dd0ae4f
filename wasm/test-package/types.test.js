// The package's types as those see them who install it: right use compiles, wrong use does not.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { command, lend, project, tools } from "./project.js";

const OPTIONS = { timeout: 180_000 };
const tsc = join(tools, "typescript/bin/tsc");

const use = await readFile(new URL("use.ts", import.meta.url), "utf8");

/** The settings of people's projects: how modules are found, and what there is besides the language. */
const SETTINGS = {
  "nodenext, in Node": { module: "nodenext", types: ["node"] },
  "nodenext, with DOM": { module: "nodenext", lib: ["ES2022", "DOM"], types: [] },
  "bundler, with DOM": {
    module: "esnext",
    moduleResolution: "bundler",
    lib: ["ES2022", "DOM"],
    types: [],
  },
};

for (const [name, settings] of Object.entries(SETTINGS)) {
  test(`the types hold under ${name}`, OPTIONS, async (t) => {
    const compilerOptions = { strict: true, target: "es2022", noEmit: true, skipLibCheck: false, ...settings };
    const folder = await project(t, {
      "package.json": '{ "private": true, "type": "module" }',
      "tsconfig.json": JSON.stringify({ compilerOptions, include: ["use.ts"] }),
      "use.ts": use,
    });
    for (const name of settings.types) await lend(folder, `@types/${name}`);
    if (settings.types.length > 0) await lend(folder, "undici-types");
    await command(folder, "node", tsc, "-p", ".");
  });
}

test("the compiler is heard: without the expectations wrong use fails", OPTIONS, async (t) => {
  const folder = await project(t, { "use.ts": use.replaceAll("@ts-expect-error", "") });
  const wrong = use.match(/\/\/ @ts-expect-error:/g).length;
  const line = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--types", "", "use.ts"];
  const failure = await command(folder, "node", tsc, ...line).catch((error) => error.message);
  assert.equal(new Set(failure.match(/use\.ts\(\d+/g)).size, wrong, failure);
});
