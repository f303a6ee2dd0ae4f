// A menu (IVR): every caller hears welcome.wav and presses a digit, which may come while it plays; then comes
// 1.wav, 2.wav and so on, or again.wav where there is no such file. The files are in the folder that is named.
//
//   offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//   node wasm/examples/menu.mjs 127.0.0.1 alice a prompts &
//   offhook call alice --server 127.0.0.1 --user bob --password b --dtmf 1 --record-received heard.wav
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Phone } from "offhook";

/** How long a caller may think, and how often. */
const PATIENCE_MS = 10_000;
const ATTEMPTS = 3;

const [server, user, password, folder] = process.argv.slice(2);
if (!folder) throw new Error("usage: node menu.mjs SERVER USER PASSWORD FOLDER");

/** A prompt's bytes; `undefined` where there is none of that name. */
const prompt = (name) => readFile(join(folder, `${name}.wav`)).catch(() => undefined);
const [welcome, again] = await Promise.all([prompt("welcome"), prompt("again")]);
if (!welcome || !again) throw new Error(`${folder} has to hold welcome.wav and again.wav`);

const phone = new Phone({ server, user, password, bind: "0.0.0.0:0" });
await phone.start();
console.log(`${user} is registered`);
for await (const call of phone.incoming()) {
  serve(call).catch((error) => console.error(`${call.from}: ${error.message}`));
}

async function serve(call) {
  await call.answer();
  for (let attempt = 1, text = welcome; attempt <= ATTEMPTS; attempt += 1, text = again) {
    const digit = await choice(call, text);
    console.log(`${call.from} pressed ${digit ?? "nothing"}`);
    const chosen = digit && (await prompt(digit));
    if (!chosen) continue;
    await call.play(chosen);
    break;
  }
  if (call.state === "answered") await call.hangup();
}

/** The digit that is pressed while a prompt plays, or in the time after it. */
async function choice(call, text) {
  const enough = new AbortController();
  const { signal } = enough;
  const pressed = call.readDtmf(1, { signal });
  // The rest of the prompt is not wanted once a digit is pressed, nor a digit once the time is over.
  const thought = call.play(text, { signal }).then(() => setTimeout(PATIENCE_MS, undefined, { signal, ref: false }));
  try {
    return await Promise.race([pressed, thought]);
  } finally {
    enough.abort();
    await Promise.allSettled([pressed, thought]);
  }
}
