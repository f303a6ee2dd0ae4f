// What a far end, a host or a program does wrong ends nothing but what it was about.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { NodeHost, OffhookError, Phone } from "../dist/node.js";
import { at, connected, OPTIONS, started } from "./phones.js";

/** A peer that sends whoever calls it to a contact. */
async function redirecting(t, contact) {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => socket.close());
  socket.on("message", (bytes, from) => {
    const message = bytes.toString();
    if (!message.startsWith("INVITE")) return;
    const field = (name) => message.match(new RegExp(`^${name}:.*$`, "mi"))[0];
    const to = `${field("To")};tag=z`;
    const kept = [field("Via"), field("From"), to, field("Call-ID"), field("CSeq")];
    const answer = ["SIP/2.0 302 Moved", ...kept, `Contact: <${contact}>`, "Content-Length: 0", "", ""];
    socket.send(answer.join("\r\n"), from.port, from.address);
  });
  return `sip:x@127.0.0.1:${socket.address().port}`;
}

test("a far end that names port 0 ends its own call", OPTIONS, async (t) => {
  const alice = await started(t, "alice");
  const bob = await started(t, "bob");
  const call = alice.call(await redirecting(t, "sip:x@127.0.0.1:0"));
  await assert.rejects(call.answered(), OffhookError);
  assert.equal((await alice.options(at(bob))).code, 200);
  await assert.rejects(alice.call("sip:bob@127.0.0.1:0").answered(), OffhookError);
});

test("a host that throws loses its packets, and every account goes on", OPTIONS, async (t) => {
  const host = new NodeHost();
  const bob = await started(t, "bob");
  const alice = new Phone({ user: "alice", bind: "127.0.0.1:0", host });
  t.after(() => alice.close());
  await alice.start();
  const whole = { send: host.send, bindMedia: host.bindMedia };
  for (const method of Object.keys(whole)) {
    host[method] = () => {
      throw new Error(`no ${method}`);
    };
    await assert.rejects(alice.call(at(bob)).answered(), OffhookError);
    host[method] = whole[method];
    assert.equal((await alice.options(at(bob))).code, 200);
  }
});

test("a phone that is started while it closes runs, and can be stopped", OPTIONS, async (t) => {
  const alice = new Phone({ user: "alice", bind: "127.0.0.1:0" });
  t.after(() => alice.close());
  await alice.start();
  for (const order of [["close", "start"], ["start", "close", "start"], ["close", "start", "stop", "start"]]) {
    await Promise.allSettled(order.map((method) => alice[method]()));
    assert.equal(alice.status, "registered", order.join());
    await alice.stop();
    assert.deepEqual([alice.status, alice.listening], ["inactive", []], order.join());
  }
});

test("a signal whose reason is an OffhookError of the program gives a start up like any other", OPTIONS, async (t) => {
  const alice = new Phone({ user: "alice", server: "127.0.0.1:9", bind: "127.0.0.1:0" });
  t.after(() => alice.close());
  const reason = new OffhookError("not_running", "mine");
  const giving = new AbortController();
  const starting = alice.start({ signal: giving.signal });
  giving.abort(reason);
  await assert.rejects(starting, (error) => error === reason);
  assert.deepEqual([alice.status, alice.listening], ["inactive", []]);
});

test("what is no text is refused, and a mark comes back whatever its name", OPTIONS, async (t) => {
  const { alice, bob, call } = await connected(t);
  const refused = { code: "invalid_value" };
  for (const wrong of [5, true, {}, [], null]) {
    assert.throws(() => alice.call(wrong), refused);
    assert.throws(() => call.sendDtmf(wrong), refused);
    await assert.rejects(async () => call.mark(wrong), refused);
    await assert.rejects(alice.options(wrong), refused);
    await assert.rejects(call.transfer(wrong), refused);
    await assert.rejects(call.request(wrong), refused);
  }
  await assert.rejects(alice.message(at(bob), new Uint8Array(1 << 24)), { code: "too_large" });
  assert.equal(await call.mark("half \ud800"), true);
});

test("who reads a call reads to its end, also when this side hangs up", OPTIONS, async (t) => {
  const { call } = await connected(t);
  const ends = Promise.all([
    call.readable(16_000).pipeTo(new WritableStream({})),
    (async () => {
      while ((await call.readAudio(16_000, 320)).length > 0);
    })(),
  ]);
  await call.hangup();
  await ends;
});
