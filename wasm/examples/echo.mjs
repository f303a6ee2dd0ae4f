// An echo: every caller hears itself.
//
//   offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//   node wasm/examples/echo.mjs 127.0.0.1 alice a &
//   offhook call alice --server 127.0.0.1 --user bob --password b --play tone.wav --record-received heard.wav
import { Phone } from "offhook";

const RATE = 16_000;

const [server, user, password] = process.argv.slice(2);
if (!password) throw new Error("usage: node echo.mjs SERVER USER PASSWORD");

const phone = new Phone({ server, user, password, bind: "0.0.0.0:0", codecs: ["G722", "PCMU", "PCMA"] });
await phone.start();
console.log(`${user} is registered`);
for await (const call of phone.incoming()) {
  echo(call).catch((error) => console.error(`${call.from}: ${error.message}`));
}

async function echo(call) {
  await call.answer();
  // What is heard is said again, as it comes, until the call is over.
  await call.readable(RATE).pipeTo(call.writable(RATE)).catch((error) => {
    if (error.code !== "ended") throw error;
  });
}
