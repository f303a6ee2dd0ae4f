// An answering machine: a beep, and what the caller then says goes into a WAV file in the folder that is named,
// until # is pressed, a minute is over or the caller hangs up.
//
//   offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//   node wasm/examples/recorder.mjs 127.0.0.1 alice a messages &
//   offhook call alice --server 127.0.0.1 --user bob --password b --play tone.wav --duration 5
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Phone } from "offhook";

const RATE = 8_000;
const LONGEST_MS = 60_000;

const [server, user, password, folder] = process.argv.slice(2);
if (!folder) throw new Error("usage: node recorder.mjs SERVER USER PASSWORD FOLDER");
await mkdir(folder, { recursive: true });

/** A fifth of a second at 1 kHz. */
const beep = Int16Array.from({ length: RATE / 5 }, (_, i) => 8_000 * Math.sin((2 * Math.PI * 1_000 * i) / RATE));

const phone = new Phone({ server, user, password, bind: "0.0.0.0:0" });
await phone.start();
console.log(`${user} is registered`);
let messages = 0;
for await (const call of phone.incoming()) {
  record(call).catch((error) => console.error(`${call.from}: ${error.message}`));
}

async function record(call) {
  await call.answer();
  await call.play({ rate: RATE, samples: beep });
  const file = join(folder, `message-${(messages += 1)}.wav`);
  const recording = await call.record(file, { kept: "received" });
  const limit = setTimeout(() => call.close(), LONGEST_MS);
  for await (const digit of call.dtmf) if (digit === "#") break;
  clearTimeout(limit);
  await recording.stop();
  await call.close();
  console.log(`${call.from} has left ${file}`);
}
