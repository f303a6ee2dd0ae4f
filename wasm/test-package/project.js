// Projects of people who install the package: a folder with nothing in it but what `npm install` of the
// tarball leaves, outside of this repository, so that nothing of ours is found from there.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const { OFFHOOK_TARBALL: tarball } = process.env;
if (!tarball) throw new Error("OFFHOOK_TARBALL is missing: run `cargo xtask test npm`");

const run = promisify(execFile);

// Tests within these are reported as if there were no others.
const { NODE_TEST_CONTEXT: _, ...env } = process.env;

/** The tools of this repository: TypeScript, the bundlers. */
export const tools = fileURLToPath(new URL("../node_modules", import.meta.url));

/** Makes a project with the package in it and these files, by their names; it goes when the test ends. */
export async function project(t, files) {
  const folder = await mkdtemp(join(tmpdir(), "offhook-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries({ "package.json": '{ "private": true }', ...files })) {
    const file = join(folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  await command(folder, "npm", "install", "--offline", "--no-audit", "--no-fund", tarball);
  return folder;
}

/** Lets a project find one of our tools, as if it were installed there. */
export async function lend(folder, name) {
  const link = join(folder, "node_modules", name);
  await mkdir(dirname(link), { recursive: true });
  await symlink(join(tools, name), link);
}

/** Runs a program in a folder and resolves with what it prints; a failure shows all of it. */
export async function command(folder, program, ...args) {
  try {
    return (await run(program, args, { cwd: folder, env, timeout: 120_000 })).stdout;
  } catch (error) {
    throw new Error(`${program} ${args.join(" ")}: ${error.message}\n${error.stdout}\n${error.stderr}`);
  }
}
