// A voice bot: each call's sound goes to a speech service over a WebSocket, and what the service says to the
// caller. The messages are those of Asterisk's chan_websocket in JSON: 16-bit samples as binary messages, events
// and commands as text. `speech-service.mjs` stands in for a service. Node 20 needs the option to have WebSocket.
//
//   offhook exchange --listen 127.0.0.1:5060 --user alice:a --user bob:b &
//   node wasm/examples/speech-service.mjs 8765 &
//   node --experimental-websocket wasm/examples/bot.mjs 127.0.0.1 alice a ws://127.0.0.1:8765 &
//   offhook call alice --server 127.0.0.1 --user bob --password b --play tone.wav --record-received heard.wav
import { Phone } from "offhook";

const RATE = 16_000;
const FRAME_MS = 20;
const FRAME = (RATE / 1_000) * FRAME_MS;

const [server, user, password, url] = process.argv.slice(2);
if (!url) throw new Error("usage: node bot.mjs SERVER USER PASSWORD URL");

const phone = new Phone({ server, user, password, bind: "0.0.0.0:0", codecs: ["G722", "PCMU", "PCMA"] });
await phone.start();
console.log(`${user} is registered`);
for await (const call of phone.incoming()) {
  serve(call).catch((error) => console.error(`${call.from}: ${error.message}`));
}

async function serve(call) {
  // The caller hears ringing until the service is there. Without it nobody is: a proxy makes 500 of a 503.
  const socket = await connected().catch(() => undefined);
  if (!socket) return call.deny(480);
  const say = (event, details) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ event, ...details }));
  const { callId } = call.info;
  socket.onmessage = ({ data }) => {
    if (call.state !== "answered") return;
    if (typeof data !== "string") call.writeAudio(RATE, new Int16Array(data));
    else obey(call, JSON.parse(data));
  };
  socket.onclose = () => call.close();
  call.on("dtmf", ({ digit }) => say("DTMF_END", { channel_id: callId, digit }));
  call.on("mark", ({ name }) => say("MEDIA_MARK_PROCESSED", { correlation_id: name }));

  try {
    await call.answer();
    say("MEDIA_START", {
      connection_id: callId,
      channel_id: callId,
      format: "slin16",
      optimal_frame_size: FRAME * 2,
      ptime: FRAME_MS,
      channel_variables: { from: call.from, to: call.to },
    });
    // A frame at a time, until the call is over.
    for (let heard; (heard = await call.readAudio(RATE, FRAME)).length > 0; ) {
      if (socket.readyState === WebSocket.OPEN) socket.send(heard);
    }
  } finally {
    socket.close();
  }
}

/** Does what the service commands; what is not known is left alone. */
function obey(call, { command, correlation_id: name }) {
  if (command === "HANGUP") call.hangup();
  else if (command === "FLUSH_MEDIA") call.flushAudio();
  else if (command === "MARK_MEDIA") call.mark(name);
}

/** A connection to the service, once it is open. */
function connected() {
  const socket = new WebSocket(url, "media");
  socket.binaryType = "arraybuffer";
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error(`${url} does not answer`));
  });
}
