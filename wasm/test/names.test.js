// Names that lead to servers, over node:dns, with a DNS server of the test's own.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { addressesOf } from "../dist/node/hosts.js";
import { Names } from "../dist/node/names.js";
import { Phone } from "../dist/node.js";
import { a, naptr, serveNames, srv } from "./zone.js";

const OPTIONS = { timeout: 180_000 };

/** A server that answers every request with 200, and counts them. */
async function server(t) {
  const socket = createSocket("udp4");
  const heard = [];
  socket.on("message", (bytes, from) => {
    const lines = bytes.toString().split("\r\n");
    heard.push(lines[0]);
    const kept = lines.filter((line) => /^(Via|From|To|Call-ID|CSeq):/.test(line));
    const answer = ["SIP/2.0 200 OK", ...kept, "Content-Length: 0", "", ""].join("\r\n");
    socket.send(answer, from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return { port: socket.address().port, heard };
}

test("NAPTR and SRV lead to a server, past a transport that no phone has", OPTIONS, async (t) => {
  const { port, heard } = await server(t);
  const zone = await serveNames(t, {
    "NAPTR pbx.test": [
      naptr(10, "SIP+D2S", "_sip._sctp.pbx.test"),
      naptr(20, "SIP+D2U", "_sip._udp.pbx.test"),
    ],
    "SRV _sip._sctp.pbx.test": [srv(1, port, "one.pbx.test")],
    "SRV _sip._udp.pbx.test": [srv(1, port, "one.pbx.test")],
    "A one.pbx.test": [a("127.0.0.1")],
  });
  const phone = new Phone({ user: "alice", bind: "127.0.0.1:0", dnsServers: [zone.address] });
  t.after(() => phone.close());
  await phone.start();
  assert.equal((await phone.options("sip:pbx.test")).code, 200);
  assert.deepEqual(heard, ["OPTIONS sip:pbx.test SIP/2.0"]);
  assert.ok(zone.asked.includes("SRV _sip._udp.pbx.test"), zone.asked.join());
});

test("what a name leads to is told with its TTL; nothing, and a failure, are told apart", OPTIONS, async (t) => {
  const zone = await serveNames(t, {
    "A one.pbx.test": [a("192.0.2.1")],
    "SRV _sip._udp.pbx.test": [srv(1, 5_080, "one.pbx.test")],
    "NAPTR pbx.test": [naptr(10, "SIP+D2U", "_sip._udp.pbx.test")],
  });
  const names = new Names([zone.address]);
  const find = (kind, name) => names.find({ kind, name });
  const kind = "addresses";
  assert.deepEqual(await find(kind, "one.pbx.test"), { kind, records: ["192.0.2.1"], ttl: 60 });
  assert.deepEqual(await find(kind, "two.pbx.test"), { kind, records: [] });
  const [service] = (await find("srv", "_sip._udp.pbx.test")).records;
  assert.deepEqual({ ...service }, { priority: 1, weight: 0, port: 5_080, name: "one.pbx.test" });
  const [{ flags, replacement }] = (await find("naptr", "pbx.test")).records;
  assert.deepEqual([flags, replacement], ["s", "_sip._udp.pbx.test"]);
  assert.deepEqual(await find("srv", "_sip._tcp.pbx.test"), { kind: "srv", records: [] });
  // The hosts file comes first, whatever the server says.
  const { records } = await find(kind, "LocalHost");
  assert.ok(records.includes("127.0.0.1") || records.includes("::1"), records.join());
  assert.ok(!zone.asked.some((question) => question.endsWith("localhost")), zone.asked.join());

  const broken = new Names([(await serveNames(t)).address]);
  const asked = broken.find({ kind: "srv", name: "_sip._udp.pbx.test" });
  await assert.rejects(asked, { message: "the DNS server says: Server Failure" });
});

test("a server that does not answer, and questions given up, are told", OPTIONS, async (t) => {
  const silent = createSocket("udp4").bind(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => silent.close());
  const names = new Names([`127.0.0.1:${silent.address().port}`]);
  const late = names.find({ kind: "srv", name: "_sip._udp.pbx.test" });
  await assert.rejects(late, { message: "no DNS server has answered in time" });
  const asked = names.find({ kind: "naptr", name: "pbx.test" });
  names.renew();
  names.close();
  await assert.rejects(asked, { message: /no DNS server could be asked/ });
});

test("the hosts file is read like the system reads it", () => {
  const text = "# comment\n127.0.0.1\tlocalhost  Pbx # the one\n::1 localhost\n192.0.2.1 pbx.test pbx\nnonsense pbx\n";
  assert.deepEqual(addressesOf("pbx", text), ["127.0.0.1", "192.0.2.1"]);
  assert.deepEqual(addressesOf("LOCALHOST", text), ["127.0.0.1", "::1"]);
  assert.deepEqual(addressesOf("one", text), []);
});

test("a server whose name leads nowhere is told when the phone starts", OPTIONS, async (t) => {
  const { address } = await serveNames(t, {});
  const phone = new Phone({
    server: "nowhere.invalid",
    user: "alice",
    bind: "127.0.0.1:0",
    dnsServers: [address],
    registrationAttempts: 1,
  });
  await assert.rejects(phone.start(), /nowhere\.invalid cannot be reached: DNS has no address/);
});
