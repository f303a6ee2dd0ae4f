// A menu (IVR): every caller hears welcome.wav and presses a digit, which may come while it plays; then comes
// 1.wav, 2.wav and so on, or again.wav where there is no such file. The files are in the folder that is named.
// menu.test.mjs tests it in virtual time.
//
//   offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//   node wasm/examples/menu.mjs 127.0.0.1 alice a prompts &
//   offhook call alice --server 127.0.0.1 --user bob --password b --dtmf 1 --record-received heard.wav
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { argv } from "node:process";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Phone } from "offhook";

/** How long a caller may think, and how often. */
const PATIENCE_MS = 10_000;
const ATTEMPTS = 3;

const wait = (ms, options) => setTimeout(ms, undefined, { ...options, ref: false });

/** Serves a caller. `prompt` has the sound of a name, if there is one; `sleep` is how the time of thinking passes. */
export async function serve(call, prompt, sleep = wait) {
  await call.answer();
  for (let attempt = 1, text = "welcome"; attempt <= ATTEMPTS; attempt += 1, text = "again") {
    const digit = await choice(call, await prompt(text), sleep);
    console.log(`${call.from} pressed ${digit ?? "nothing"}`);
    const chosen = digit && (await prompt(digit));
    if (!chosen) continue;
    await call.play(chosen);
    break;
  }
  await call.hangup();
}

/** The digit that is pressed while a prompt plays, or in the time after it. */
async function choice(call, text, sleep) {
  // Whichever comes first ends the other: a digit the prompt, and the end of patience the waiting for a digit.
  const decided = new AbortController();
  const { signal } = decided;
  const thinking = async () => {
    await call.play(text, { signal });
    await sleep(PATIENCE_MS, { signal });
  };
  try {
    return await Promise.race([call.readDtmf(1, { signal }), thinking()]);
  } finally {
    decided.abort();
  }
}

async function main(server, user, password, folder) {
  if (!folder) throw new Error("usage: node menu.mjs SERVER USER PASSWORD FOLDER");
  const prompt = (name) => readFile(join(folder, `${name}.wav`)).catch(() => undefined);
  for (const name of ["welcome", "again"]) {
    if (!(await prompt(name))) throw new Error(`${folder} has to hold welcome.wav and again.wav`);
  }
  const phone = new Phone({ server, user, password, bind: "0.0.0.0:0" });
  await phone.start();
  console.log(`${user} is registered`);
  for await (const call of phone.incoming()) {
    serve(call, prompt).catch((error) => console.error(`${call.from}: ${error.message}`));
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) await main(...argv.slice(2));
