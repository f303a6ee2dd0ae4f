// baresip, which answers calls by itself, plays a tone and records what it hears.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { directory, freePort, start, until } from "./program.js";
import { tone, wav } from "./sound.js";

/** How many seconds of its tone it plays, of 1 kHz; it says `AUDIO_ERROR` at its end. */
export const SECONDS = 3;

/** Starts it as a user of Kamailio by a transport, and waits until it is registered. */
export async function baresip(t, kamailio, transport, user) {
  const at = directory(t);
  const port = await freePort();
  const proxy = transport === "tls" ? kamailio.tlsPort : kamailio.port;
  writeFileSync(join(at, "tone.wav"), wav(tone(1_000, 8_000, SECONDS, 0)));
  writeFileSync(join(at, "config"), config(at, port));
  writeFileSync(
    join(at, "accounts"),
    `<sip:${user}@peers.test>;auth_user=${user};auth_pass=secret-${user};regint=60;` +
      `outbound="sip:127.0.0.1:${proxy};transport=${transport}";answermode=auto;audio_codecs=PCMU\n`,
  );
  writeFileSync(join(at, "contacts"), "");
  const program = start(t, at, "baresip", "-4", "-f", at);
  let control;
  await until("baresip", program, async () => (control = await connected(port)));
  t.after(() => control.destroy());
  const told = new Told(control);
  await until("registration of baresip", program, async () => (await told.command("reginfo")).includes("OK"));
  return {
    command: (name, parameters) => told.command(name, parameters),
    wait: (type) => told.next((said) => said.type === type),
    /** The recording of its only call, which is over. */
    heard: () => readFileSync(join(at, readdirSync(at).find((name) => name.endsWith("-dec.wav")))),
  };
}

/** A connection, or `undefined` where nobody listens yet. */
function connected(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(socket)).once("error", () => resolve(undefined));
  });
}

/** What it says: netstrings of JSON. */
class Told {
  #socket;
  #rest = Buffer.alloc(0);
  #said = [];
  #waiting = new Set();

  constructor(socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => {
      this.#rest = Buffer.concat([this.#rest, bytes]);
      for (;;) {
        const colon = this.#rest.indexOf(":");
        const length = Number(this.#rest.subarray(0, colon));
        if (colon < 0 || this.#rest.length < colon + length + 2) return;
        this.#said.push(JSON.parse(this.#rest.subarray(colon + 1, colon + 1 + length)));
        this.#rest = this.#rest.subarray(colon + length + 2);
        for (const look of this.#waiting) look();
      }
    });
  }

  async command(command, params = "") {
    const text = JSON.stringify({ command, params, token: "t" });
    this.#socket.write(`${Buffer.byteLength(text)}:${text},`);
    return (await this.next((said) => said.response === true)).data ?? "";
  }

  /** Takes the next that fits; waits for it. */
  next(fits) {
    return new Promise((resolve) => {
      const look = () => {
        const at = this.#said.findIndex(fits);
        if (at < 0) return;
        this.#waiting.delete(look);
        resolve(this.#said.splice(at, 1)[0]);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

const config = (at, control) =>
  `sip_listen 127.0.0.1:0\nnet_interface 127.0.0.1\nsip_verify_server no\n` +
  `audio_source aufile,${at}/tone.wav\naudio_player aubridge,nil\naudio_alert aubridge,alert\n` +
  `audio_level no\nstatmode_default off\nausrc_srate 8000\nauplay_srate 8000\n` +
  `ausrc_channels 1\nauplay_channels 1\nrtp_ports 21000-23998\n` +
  `module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule uuid.so\n` +
  `module aufile.so\nmodule aubridge.so\nmodule sndfile.so\nmodule_tmp account.so\nmodule_app menu.so\n` +
  `module_app ctrl_tcp.so\nctrl_tcp_listen 127.0.0.1:${control}\nsnd_path ${at}\naudio_path /nonexistent\n`;
