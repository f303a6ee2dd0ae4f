// The host in Node, without a telephone, at servers of others: a SIP ping on every transport.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { NodeHost } from "../dist/node/host.js";
import { Authority } from "./certificates.js";
import { opened, sip } from "./inlet.js";
import { kamailio, lacking, options, TRANSPORTS } from "./kamailio.js";
import { exchange, missing } from "./offhook.js";

const OPTIONS = { timeout: 60_000 };

/** Sends pings, one after another, and checks that each is answered; in the end nothing is left. */
async function ping(t, transport, server, tls, name = "localhost") {
  const { host, inlet } = await opened(t, NodeHost, { listen: ["UDP"], tls: { insecure: false, ...tls } });
  const [address, port] = server.split(":");
  const to = { address, port: Number(port) };
  host.openFlow({ id: 1, transport: transport.toUpperCase(), name, ...to });
  const opening = [inlet.next("flowOpened"), inlet.next("flowFailed").then((values) => assert.fail(values.join(": ")))];
  const [, flow, , certificate] = await Promise.race(opening);
  for (const id of [randomUUID(), randomUUID()]) {
    host.send(sip(flow, to, options(transport.toUpperCase(), id)));
    const isStream = transport === "tcp" || transport === "tls";
    const answer = (await inlet.next(isStream ? "stream" : "datagram")).at(-1);
    assert.match(answer, /^SIP\/2\.0 200 /, `${transport}: ${answer}`);
    assert.match(answer, new RegExp(`\r\nCall-ID: ${id}\r\n`, "i"));
  }
  host.closeFlow(flow);
  await host.close();
  assert.deepEqual(inlet.said, [], transport);
  return certificate;
}

test("offhook exchange answers on every transport", { ...OPTIONS, skip: missing }, async (t) => {
  const authority = new Authority(t);
  const certificate = authority.issue(["DNS:localhost", "URI:sip:localhost"]);
  const servers = await exchange(t, { transports: TRANSPORTS, certificate });
  for (const transport of TRANSPORTS) {
    const named = await ping(t, transport, servers[transport], { caFile: authority.caFile });
    const isSecure = transport === "tls" || transport === "wss";
    const expected = { uris: ["sip:localhost"], dnsNames: ["localhost"], addresses: [] };
    assert.deepEqual(named, isSecure ? expected : undefined, transport);
  }
});

test("Kamailio answers on every transport", { ...OPTIONS, skip: lacking("kamailio") }, async (t) => {
  const { server, caFile } = await kamailio(t);
  for (const transport of TRANSPORTS) await ping(t, transport, server(transport), { caFile });
});

test("a server that asks for a certificate is shown ours, and says if it will not do", { ...OPTIONS, skip: missing }, async (t) => {
  const [authority, other] = [new Authority(t), new Authority(t, "other")];
  const { caFile } = authority;
  const certificate = authority.issue(["DNS:localhost"]);
  const transports = ["tls"];
  const servers = await exchange(t, { transports, certificate, more: ["--client-ca-file", caFile] });
  await ping(t, "tls", servers.tls, { caFile, ...authority.issue(["DNS:alice.example.com"]) });
  const [past, last] = ["010101000000Z", "240502120000Z"];
  for (const [own, problem] of [
    [{}, "it asks for a certificate: give --cert-file and --key-file"],
    [other.issue(["DNS:a"]), "it does not trust the authority of our certificate"],
    [authority.issue(["DNS:a"], { dates: [past, last] }), "it says that our certificate has expired"],
  ]) {
    await assert.rejects(ping(t, "tls", servers.tls, { caFile, ...own }), { message: `1: untrusted: ${problem}` });
  }
});
