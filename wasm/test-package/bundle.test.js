// The package in pages: bundled by Vite, webpack and esbuild, and as plain modules, each opened in Chromium.
import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { copyFile, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import { extname, join, normalize } from "node:path";
import { after, before, test } from "node:test";
import { build as esbuild } from "esbuild";
import { chromium } from "playwright-core";
import { build as viteBuild, createServer as createViteServer } from "vite";
import webpack from "webpack";
import { command, project } from "./project.js";

const OPTIONS = { timeout: 180_000 };

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };

/** What the strictest page allows that runs WebAssembly at all. */
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

const page = (script) => `<!doctype html><meta charset="utf-8"><title>waiting</title>${script}`;

/** Shows in the title what became of it; `load` is called with the text `given`. */
const main = (entry, given = "") => `
  import { load, OffhookError, readWav } from "${entry}";
  import { bytes } from "./tone.js";
  const tried = (act) => { try { return act(); } catch (error) {
    return error instanceof OffhookError ? error.code : String(error);
  } };
  const early = tried(() => readWav(bytes));
  load(${given}).then(
    () => { document.title = JSON.stringify([early, tried(() => readWav(bytes).samples.length)]); },
    (error) => { document.title = String(error); },
  );
`;

/** A WAV of a hundred samples, and what a page that works says of it. */
const TONE = `
  export const bytes = new Uint8Array(244);
  const view = new DataView(bytes.buffer);
  [..."RIFF____WAVEfmt "].forEach((c, i) => view.setUint8(i, c.charCodeAt(0)));
  [..."data"].forEach((c, i) => view.setUint8(36 + i, c.charCodeAt(0)));
  view.setUint32(4, 236, true);
  view.setUint32(16, 16, true);
  [1, 1].forEach((value, i) => view.setUint16(20 + 2 * i, value, true));
  view.setUint32(24, 8000, true);
  view.setUint32(28, 16000, true);
  [2, 16].forEach((value, i) => view.setUint16(32 + 2 * i, value, true));
  view.setUint32(40, 200, true);
`;
const WORKS = JSON.stringify(["not_loaded", 100]);

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
    ],
  });
});
after(() => browser?.close());

/** Serves a folder on this machine; resolves with its address. */
async function serve(t, folder, policy = POLICY) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    const file = join(folder, path === "/" ? "index.html" : path);
    if (!(await stat(file).catch(() => undefined))?.isFile()) return response.writeHead(404).end();
    response.writeHead(200, {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-security-policy": policy,
    });
    createReadStream(file).pipe(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}/`;
}

/** Opens a page and resolves with its title once it has been set. */
async function titleOf(t, url) {
  const page = await browser.newPage();
  t.after(() => page.close());
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(url);
  try {
    await page.waitForFunction(() => document.title !== "waiting", undefined, { timeout: 60_000 });
  } catch {
    assert.fail(`the page does not come to an end: ${problems.join("; ")}`);
  }
  return page.title();
}

/** The names of the files that a bundler left, without what it adds to them. */
const left = async (folder) => (await readdir(folder, { recursive: true })).filter((name) => /\./.test(name));

const viteFiles = (source) => ({
  "index.html": page('<script type="module" src="/main.js"></script>'),
  "main.js": source,
  "tone.js": TONE,
});

test("a build of Vite runs in Chromium", OPTIONS, async (t) => {
  const root = await project(t, viteFiles(main("offhook")));
  await viteBuild({ root, configFile: false, logLevel: "warn" });
  const files = await left(join(root, "dist"));
  assert.equal(files.filter((name) => name.endsWith(".wasm")).length, 1, String(files));
  assert.equal(await titleOf(t, await serve(t, join(root, "dist"))), WORKS);
});

test("ten minutes of the simulation in Chromium are the same as in Node", OPTIONS, async (t) => {
  const root = await project(t, {
    ...viteFiles(`
      import { story } from "./story.js";
      story().then((told) => { document.title = told; }, (error) => { document.title = String(error); });
    `),
    "story.js": await readFile(new URL("story.js", import.meta.url), "utf8"),
    "node.mjs": 'import { story } from "./story.js"; console.log(await story());',
    "package.json": '{ "private": true, "type": "module" }',
  });
  await viteBuild({ root, configFile: false, logLevel: "warn" });
  const inNode = await command(root, process.execPath, "node.mjs");
  assert.match(inNode, /^\["local",60\d{4}[\d.]*,\d+,"42#",60\d{4},"[0-9a-f]{16}"\]$/m);
  assert.equal(await titleOf(t, await serve(t, join(root, "dist"))), inNode.trim());
});

test("Vite's development server runs it", OPTIONS, async (t) => {
  const root = await project(t, viteFiles(main("offhook")));
  // As the README says: a dependency that is bundled beforehand is parted from its module.
  const server = await createViteServer({
    root,
    configFile: false,
    logLevel: "warn",
    optimizeDeps: { exclude: ["offhook"] },
    server: { host: "127.0.0.1", port: 0 },
  });
  t.after(() => server.close());
  await server.listen();
  assert.equal(await titleOf(t, server.resolvedUrls.local[0]), WORKS);
});

test("Vite builds a page that brings the module along", OPTIONS, async (t) => {
  const source = `import url from "offhook/offhook.wasm?url";${main("offhook/slim", "new URL(url, location.href)")}`;
  const root = await project(t, viteFiles(source));
  await viteBuild({ root, configFile: false, logLevel: "warn" });
  assert.equal(await titleOf(t, await serve(t, join(root, "dist"))), WORKS);
});

test("a build of webpack runs in Chromium", OPTIONS, async (t) => {
  const root = await project(t, {
    "src/main.js": main("offhook"),
    "src/tone.js": TONE,
    "dist/index.html": page('<script type="module" src="main.js"></script>'),
  });
  const stats = await new Promise((resolve, reject) =>
    webpack(
      {
        mode: "production",
        context: root,
        entry: "./src/main.js",
        output: { path: join(root, "dist"), filename: "main.js" },
        performance: false,
      },
      (error, stats) => (error ? reject(error) : resolve(stats)),
    ),
  );
  assert.ok(!stats.hasErrors() && !stats.hasWarnings(), stats.toString());
  assert.equal(await titleOf(t, await serve(t, join(root, "dist"))), WORKS);
});

test("a bundle of esbuild runs in Chromium, with the module beside it", OPTIONS, async (t) => {
  const root = await project(t, {
    "main.js": main("offhook"),
    "tone.js": TONE,
    "dist/index.html": page('<script type="module" src="main.js"></script>'),
  });
  await esbuild({
    absWorkingDir: root,
    entryPoints: ["main.js"],
    outdir: "dist",
    bundle: true,
    minify: true,
    format: "esm",
  });
  // esbuild leaves the address as it is, and copies nothing.
  await copyFile(join(root, "node_modules/offhook/dist/offhook.wasm"), join(root, "dist/offhook.wasm"));
  assert.equal(await titleOf(t, await serve(t, join(root, "dist"))), WORKS);
});

test("a page that is one file runs in Chromium", OPTIONS, async (t) => {
  const root = await project(t, { "main.js": main("offhook/inline"), "tone.js": TONE });
  const { outputFiles } = await esbuild({
    absWorkingDir: root,
    entryPoints: ["main.js"],
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
  });
  const text = outputFiles[0].text;
  assert.doesNotMatch(text, /<\/script/i);
  await writeFile(join(root, "index.html"), page(`<script type="module">${text}</script>`));
  assert.equal(await titleOf(t, `file://${join(root, "index.html")}`), WORKS);
});

test("plain modules run in Chromium, without any bundler", OPTIONS, async (t) => {
  const map = { imports: { offhook: "/node_modules/offhook/dist/browser.js" } };
  const root = await project(t, {
    "index.html": page(
      `<script type="importmap">${JSON.stringify(map)}</script><script type="module" src="/main.js"></script>`,
    ),
    "main.js": main("offhook"),
    "tone.js": TONE,
  });
  const policy = `${POLICY} 'unsafe-inline'`;
  assert.equal(await titleOf(t, await serve(t, root, policy)), WORKS);
});

test("a worker takes the module that its page has compiled", OPTIONS, async (t) => {
  const root = await project(t, {
    ...viteFiles(`
      import url from "offhook/offhook.wasm?url";
      const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
      worker.onmessage = ({ data }) => { document.title = data; };
      worker.onerror = ({ message }) => { document.title = message; };
      WebAssembly.compileStreaming(fetch(url)).then((module) => worker.postMessage(module));
    `),
    "worker.js": `
      import { loadSync, readWav } from "offhook/slim";
      import { bytes } from "./tone.js";
      self.onmessage = ({ data }) => {
        loadSync(data);
        self.postMessage(JSON.stringify(["not_loaded", readWav(bytes).samples.length]));
      };
    `,
  });
  await viteBuild({ root, configFile: false, logLevel: "warn", worker: { format: "es" } });
  const files = await left(join(root, "dist"));
  assert.equal(files.filter((name) => name.endsWith(".wasm")).length, 1, String(files));
  assert.equal(await titleOf(t, await serve(t, join(root, "dist"))), WORKS);
});
