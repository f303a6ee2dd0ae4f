// An answering machine: a beep, and what the caller then says goes into a WAV file in the folder that is named,
// until # is pressed, a minute is over or the caller hangs up.
//
//   offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//   node wasm/examples/recorder.mjs 127.0.0.1 alice a messages &
//   offhook call alice --server 127.0.0.1 --user bob --password b --play tone.wav --duration 5
import { mkdir, writeFile } from "node:fs/promises";
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
  await call.play(RATE, beep);
  // What came before the beep's end is no message.
  if (call.state === "answered") call.readAudio(RATE);
  const heard = [];
  const take = setInterval(() => call.state === "answered" && heard.push(call.readAudio(RATE)), 100);
  const end = () => call.state === "answered" && call.hangup();
  const limit = setTimeout(end, LONGEST_MS);
  call.on("dtmf", ({ digit }) => digit === "#" && end());
  await call.ended();
  clearInterval(take);
  clearTimeout(limit);
  const file = join(folder, `message-${(messages += 1)}.wav`);
  await writeFile(file, wav(heard));
  console.log(`${call.from} has left ${file}`);
}

/** A WAV file of 16-bit samples, one channel. */
function wav(pieces) {
  const sound = Buffer.concat(pieces.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)));
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + sound.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20); // PCM
  head.writeUInt16LE(1, 22); // one channel
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(2 * RATE, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(sound.length, 40);
  return Buffer.concat([head, sound]);
}
