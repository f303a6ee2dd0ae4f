// Kamailio as registrar and proxy, on every transport at once: the one of the native tests.
import { createSocket } from "node:dgram";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Authority } from "./certificates.js";
import { directory, freePort, lacking, start, until } from "./program.js";

export const TRANSPORTS = ["udp", "tcp", "tls", "ws", "wss"];

export { lacking };

/** Starts it, and waits until it answers: its address for a transport, and the file of its authority. */
export async function kamailio(t) {
  const authority = new Authority(t, "peers");
  const { certFile, keyFile } = authority.issue(["IP:127.0.0.1", "DNS:localhost"]);
  const cwd = directory(t);
  const [port, tlsPort] = [await freePort(), await freePort()];
  copyFileSync(new URL("../../native/tests/peers/kamailio.cfg", import.meta.url), join(cwd, "kamailio.cfg"));
  const unverified = "verify_certificate = no\nrequire_certificate = no\n";
  writeFileSync(
    join(cwd, "tls.cfg"),
    `[server:default]\nmethod = TLSv1.2+\nprivate_key = ${keyFile}\ncertificate = ${certFile}\n${unverified}` +
      `[client:default]\n${unverified}`,
  );
  const listen = [`udp:127.0.0.1:${port}`, `tcp:127.0.0.1:${port}`, `tls:127.0.0.1:${tlsPort}`];
  const program = start(
    t,
    cwd,
    "kamailio",
    ...["-f", "kamailio.cfg", "-DD", "-E", "-m", "64", "-M", "8", "-Y", cwd],
    ...["-A", `TLS_FILE="${join(cwd, "tls.cfg")}"`],
    ...listen.flatMap((at) => ["-l", at]),
  );
  await until("kamailio", program, () => answers(port));
  const isSecure = (transport) => transport === "tls" || transport === "wss";
  return {
    port,
    tlsPort,
    caFile: authority.caFile,
    server: (transport) => `127.0.0.1:${isSecure(transport) ? tlsPort : port}`,
    log: program.log,
  };
}

/** Whether somebody answers OPTIONS. */
async function answers(port) {
  const socket = createSocket("udp4");
  const heard = new Promise((resolve) => {
    socket.once("message", () => resolve(true));
    setTimeout(() => resolve(false), 200);
  });
  socket.send(options("UDP", "probe"), port, "127.0.0.1");
  const answered = await heard;
  socket.close();
  return answered;
}

/** A SIP ping. */
export const options = (transport, id) =>
  `OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/${transport} 127.0.0.1:9;rport;branch=z9hG4bK${id}\r\n` +
  `From: <sip:probe@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: ${id}\r\n` +
  "CSeq: 1 OPTIONS\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n";
