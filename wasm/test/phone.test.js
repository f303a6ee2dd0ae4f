// The life of a phone: started, told from, moved and stopped.
import assert from "node:assert/strict";
import { createSocket, Socket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { NodeHost, OffhookError, Phone } from "../dist/node.js";
import { at, connected, local, nextCall, OPTIONS, started } from "./phones.js";

test("a phone shows at run time what its types show", () => {
  const members = (object) => Object.getOwnPropertyNames(object).filter((name) => name !== "constructor").sort();
  const phone = new Phone({ user: "alice" });
  assert.deepEqual(members(phone), ["capture"]);
  assert.deepEqual(members(Phone.prototype), [
    ...["anotherAccount", "binding", "call", "calls", "close", "counters", "incoming", "listening", "message"],
    ...["networkChanged", "options", "referrals", "registrationError", "request", "start", "status", "stop"],
  ]);
  assert.deepEqual(members(Object.getPrototypeOf(Phone.prototype)), ["events", "off", "on", "once"]);
});

test("accounts share sockets, each with its own life", OPTIONS, async (t) => {
  const alice = new Phone({ user: "alice", bind: "127.0.0.1:0" });
  const anna = alice.anotherAccount({ user: "anna" });
  t.after(() => Promise.all([alice.close(), anna.close()]));
  await Promise.all([alice.start(), anna.start()]);
  assert.deepEqual(alice.listening, anna.listening);
  assert.notEqual(local(alice).port, 0);
  const bob = await started(t, "bob");

  const ringing = [nextCall(alice), nextCall(anna)];
  const calls = [bob.call(at(alice, "alice")), bob.call(at(anna, "anna"))];
  const [atAlice, atAnna] = await Promise.all(ringing);
  assert.match(atAlice.info.requestUri, /alice@/);
  assert.match(atAnna.info.requestUri, /anna@/);
  await Promise.all([atAlice.answer(), atAnna.answer()]);
  assert.notEqual(atAlice.id, atAnna.id);

  // One stops, and the other's call goes on.
  await alice.stop();
  assert.equal((await calls[0].ended()).by, "remote");
  assert.deepEqual([alice.status, alice.listening, anna.status], ["inactive", [], "registered"]);
  assert.equal((await anna.options(at(bob))).code, 200);
  await alice.start();
  assert.deepEqual(alice.listening, anna.listening);
  await anna.close();
  assert.equal((await calls[1].ended()).by, "remote");
  assert.equal((await alice.options(at(bob))).code, 200);
});

test("a phone starts again, and not twice", OPTIONS, async (t) => {
  const alice = new Phone({ user: "alice", bind: "127.0.0.1:0" });
  t.after(() => alice.close());
  const told = [];
  alice.on("status", ({ status }) => told.push(status));
  const first = alice.start();
  await assert.rejects(alice.start(), { code: "already_running" });
  await first;
  await Promise.all([alice.stop(), alice.stop()]);
  const starting = alice.start();
  await alice.stop();
  await assert.rejects(starting, { code: "not_running" });
  assert.throws(() => alice.call("sip:x@127.0.0.1:9"), { code: "not_running" });
  await assert.rejects(alice.options("sip:x@127.0.0.1:9"), { code: "not_running" });
  alice.networkChanged();
  await alice.start();
  assert.equal(alice.status, "registered");
  await alice.close();
  await alice.close();
  assert.equal(alice.status, "inactive");
  await alice.start();
  assert.deepEqual(told.slice(0, 2), ["registering", "registered"]);
});

test("iterations end when the phone stops, and what came before them waits", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const [gone, here] = [alice.call(at(bob)), alice.call(at(bob))];
  await Promise.all([gone.once("state"), here.once("state")]);
  while (bob.calls.length < 2) await new Promise(setImmediate);
  await gone.cancel();
  while (bob.calls.length > 1) await new Promise(setImmediate);
  const incoming = bob.incoming();
  // Who has given up is not shown.
  const { value } = await incoming.next();
  assert.equal(value, bob.calls[0]);
  const end = incoming.next();
  const events = bob.events();
  await bob.stop();
  assert.deepEqual(await end, { done: true, value: undefined });
  const types = [];
  for await (const { type } of events) types.push(type);
  assert.deepEqual([...new Set(types)], ["status"]);
});

test("a start that fails here is told like any other", OPTIONS, async (t) => {
  const taken = await started(t, "taken");
  const bind = `127.0.0.1:${local(taken).port}`;
  const phone = new Phone({ user: "alice", bind });
  t.after(() => phone.close());
  const told = [];
  phone.on("status", ({ status }) => told.push(status));
  const failed = phone.once("startFailed");
  const message = `cannot listen on UDP ${bind}: the port is in use by another program; stop it, or bind another port (0 picks a free one)`;
  await assert.rejects(phone.start(), { code: "bind", message });
  assert.equal((await failed).error.code, "bind");
  assert.deepEqual([phone.status, told], ["failed", ["registering", "failed"]]);
  await taken.stop();
  await phone.start();
  assert.equal(phone.status, "registered");
  await phone.stop();
  const tls = new Phone({ user: "alice", transport: "TLS", bind: "127.0.0.1:0", certFile: "/nowhere.pem" });
  await assert.rejects(tls.start(), { code: "tls_file", message: "/nowhere.pem: there is no such file" });
  assert.equal(tls.status, "failed");
  await tls.stop();
  assert.equal(tls.status, "inactive");
});

test("a start without an answer ends in time", OPTIONS, async (t) => {
  const nobody = createSocket("udp4").bind(0, "127.0.0.1");
  t.after(() => nobody.close());
  await once(nobody, "listening");
  const server = `127.0.0.1:${nobody.address().port}`;
  const alone = new Phone({ server, user: "alice", bind: "127.0.0.1:0", startTimeout: 0.3, allowTcp: false });
  const message = `${server} did not answer the registration of alice: is it running, and is the address right?`;
  await assert.rejects(alone.start(), { code: "registration_unanswered", message });
  assert.equal(alone.status, "failed");
  assert.equal(alone.registrationError.message, message);
});

test("a call goes on from another network, and from the next", OPTIONS, async (t) => {
  const { alice, call, answering } = await connected(t);
  const before = local(alice);
  const binds = t.mock.method(Socket.prototype, "bind").mock;
  for (let moves = 1; moves <= 2; moves += 1) {
    const renegotiated = answering.once("renegotiated");
    alice.networkChanged();
    await renegotiated;
    // The socket is another one, in the same place.
    const bound = binds.calls.filter(({ arguments: [{ port }] }) => port === before.port);
    assert.equal(bound.length, moves);
    assert.deepEqual(local(alice), before);
  }
  const [end] = await Promise.all([call.ended(), answering.hangup()]);
  assert.equal(end.by, "remote");
});

test("what a phone counts and records can be looked at, also afterwards", OPTIONS, async (t) => {
  const { alice, bob, call } = await connected(t, { here: { capture: true } });
  await call.hangup();
  alice.capture.name(local(alice).address, local(alice).port, "Alice");
  alice.capture.name(local(bob).address, local(bob).port, "Bob");
  await alice.stop();
  const ladder = alice.capture.ladder();
  assert.match(ladder, /Alice .*Bob/);
  assert.match(ladder, /INVITE sip:bob@/);
  assert.match(ladder, /BYE/);
  assert.match(alice.capture.svg(), /^<svg[^>]*>/);
  assert.deepEqual([...alice.capture.pcap().subarray(0, 4)], [0xd4, 0xc3, 0xb2, 0xa1]);
  assert.equal(alice.capture.missed, 0);
  assert.ok(alice.counters.received >= 3, JSON.stringify(alice.counters));
  assert.deepEqual([alice.binding, bob.capture], [undefined, undefined]);
});

test("a STUN server is asked from each socket before it is told", OPTIONS, async (t) => {
  const server = createSocket("udp4");
  const asked = [];
  server.on("message", (request, from) => {
    asked.push(from.port);
    // A success response (RFC 8489 §6.3.1) with XOR-MAPPED-ADDRESS (§14.2): from where it came.
    const answer = Buffer.alloc(32);
    answer.writeUInt16BE(0x0101, 0);
    answer.writeUInt16BE(12, 2);
    request.copy(answer, 4, 4, 20);
    answer.writeUInt16BE(0x0020, 20);
    answer.writeUInt16BE(8, 22);
    answer[25] = 1;
    answer.writeUInt16BE(from.port ^ 0x2112, 26);
    from.address.split(".").forEach((octet, i) => (answer[28 + i] = octet ^ request[4 + i]));
    server.send(answer, from.port, from.address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const alice = await started(t, "alice", { stun: `127.0.0.1:${server.address().port}` });
  const bob = await started(t, "bob");
  assert.deepEqual(asked, [local(alice).port]);
  const arriving = nextCall(bob);
  const began = performance.now();
  const call = alice.call(at(bob));
  await (await arriving).answer();
  await call.answered();
  const [, rtp, rtcp] = asked;
  assert.equal(asked.length, 3);
  assert.ok(rtp % 2 === 0 && rtcp === rtp + 1, `${asked}`);
  assert.ok(performance.now() - began < 500, "nothing was waited for");
});

test("ports that others hold cost no descriptors", OPTIONS, async (t) => {
  if (!existsSync("/proc/self/fd")) return t.skip("there is no /proc to count them in");
  const low = 41_200;
  const others = [];
  t.after(() => others.forEach((socket) => socket.close()));
  for (let port = low; port < low + 40; port += 2) {
    const socket = createSocket("udp4").on("error", () => {});
    others.push(socket);
    socket.bind({ address: "127.0.0.1", port, exclusive: true });
    await once(socket, "listening");
  }
  const alice = await started(t, "alice", { rtpPorts: [low, low + 44] });
  const bob = await started(t, "bob");
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  for (let round = 0; round < 2; round += 1) {
    const call = alice.call(at(bob));
    await (await nextCall(bob)).deny();
    await call.ended();
  }
  // The ports of the calls themselves rest for a moment, open; each round tried twenty others.
  assert.ok(open() < before + 20, `${before} descriptors before, ${open()} after`);
});

test("a phone runs on any host, and says so where there is none", OPTIONS, async (t) => {
  class Slow extends NodeHost {
    said = [];
    async open(...needs) {
      this.said.push("open");
      return super.open(...needs);
    }
    async close() {
      this.said.push("close");
      await super.close();
    }
  }
  const host = new Slow();
  const alice = await started(t, "alice", { host });
  const anna = alice.anotherAccount({ user: "anna", bind: "127.0.0.1:0" });
  await anna.start();
  await alice.close();
  await anna.close();
  await anna.start();
  await anna.close();
  assert.deepEqual(host.said, ["open", "close", "open", "close"]);
  class Broken extends NodeHost {
    async open() {
      throw new Error("there is no network here");
    }
  }
  const broken = new Phone({ user: "bob", host: new Broken() });
  await assert.rejects(broken.start(), { code: "bind", message: /there is no network here/ });
});

test("what cannot be used is an OffhookError, of whatever type it is", OPTIONS, async (t) => {
  const phone = await started(t, "alice");
  for (const value of [undefined, null, 5, {}, [], Symbol("x"), () => {}]) {
    for (const act of [
      () => phone.call(value),
      () => phone.options(value),
      () => phone.message(value, value),
      () => phone.message("sip:x@127.0.0.1:9", value, { contentType: value ?? 5 }),
      () => phone.request(value, value),
      () => new Phone({ user: value, bind: value }),
      () => new Phone(value ?? 5),
      () => phone.call("sip:x@127.0.0.1:9", { headers: value ?? 5, codecs: value ?? 5 }),
    ]) {
      const refusal = await (async () => act())().catch((error) => error);
      if (!(refusal instanceof Error)) continue;
      assert.ok(refusal instanceof OffhookError, `${String(value)}: ${act}: ${refusal.stack}`);
      assert.doesNotMatch(refusal.message, /unwrap|panick|unreachable|recursive/, String(act));
    }
  }
  assert.equal(phone.status, "registered", "it goes on");
});

test("an iteration that is given up waits for nothing and takes nothing", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const done = { done: true, value: undefined };
  for (const iteration of [bob.incoming(), bob.events(), bob.referrals()]) {
    const waiting = [iteration.next(), iteration.next()];
    assert.deepEqual(await iteration.return(), done);
    assert.deepEqual(await Promise.all(waiting), [done, done]);
    assert.deepEqual(await iteration.next(), done);
  }
  // A call that comes is for the next taker.
  const given = bob.incoming();
  const waiting = given.next();
  const left = given.return();
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  await (await arriving).answer();
  await call.answered();
  assert.deepEqual([await waiting, await left], [done, done]);
});
