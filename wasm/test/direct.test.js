// Two phones of this package call each other without a server, over real sockets.
import assert from "node:assert/strict";
import { createSocket, Socket } from "node:dgram";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Phone, readWav } from "../node/phone.js";
import { assertHears, tone, wav } from "./sound.js";

const OPTIONS = { timeout: 180_000 };

async function started(t, user, more = {}) {
  const phone = new Phone({ user, bind: "127.0.0.1:0", rtpPorts: [41_000, 41_098], ...more });
  t.after(() => phone.stop());
  await phone.start();
  return phone;
}

async function nextCall(phone) {
  for await (const call of phone.incoming()) return call;
}

const at = (phone) => `sip:${phone.machine.bindAddress}:${phone.local.port}`;

test("sound and digits go both ways", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  assert.equal(call.state, "dialing");
  const answering = await arriving;
  assert.match(answering.from, /^sip:alice@/);
  assert.equal(answering.state, "ringing");
  assert.match(answering.info.requestUri, /^sip:/);
  assert.match(Buffer.from(answering.info.body).toString(), /^v=0\r\n/);
  await Promise.all([answering.answer(), call.answered()]);
  assert.equal(call.info.codec, "PCMU");

  await Promise.all([
    assertHears(answering, call, 1_000),
    assertHears(call, answering, 700, 16_000),
  ]);
  call.sendDtmf("195#D");
  assert.equal(await answering.readDtmf(5), "195#D");
  answering.sendDtmf("*");
  assert.equal(await call.readDtmf(), "*");

  const [end] = await Promise.all([answering.ended(), call.end()]);
  assert.equal(end.by, "remote");
  assert.equal((await call.ended()).by, "local");
  assert.equal(end.stats.codec, "PCMU");
});

test("a call goes on from another network, and from the next", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  const answering = await arriving;
  await Promise.all([answering.answer(), call.answered()]);
  const before = alice.local;
  const binds = t.mock.method(Socket.prototype, "bind").mock;
  for (let moves = 1; moves <= 2; moves += 1) {
    let told = false;
    answering.on("renegotiated", () => (told = true));
    alice.networkChanged();
    await answering.until(() => told);
    // The socket is another one, in the same place.
    const bound = binds.calls.filter(({ arguments: [{ port }] }) => port === before.port);
    assert.equal(bound.length, moves);
    assert.deepEqual(alice.local, before);
    await Promise.all([
      assertHears(answering, call, 1_000),
      assertHears(call, answering, 700, 16_000),
    ]);
  }
  const [end] = await Promise.all([call.ended(), answering.hangup()]);
  assert.equal(end.by, "remote");
});

test("marks come back as played or flushed, and digits are a buffer", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob), { streams: 2 });
  const answering = await arriving;
  await Promise.all([answering.answer(), call.answered()]);
  const marks = [];
  call.on("mark", ({ name, played }) => marks.push([name, played]));
  call.writeAudio(8_000, new Int16Array(1_600));
  assert.equal(call.mark("soon"), true);
  await call.until(() => marks.length === 1);
  assert.ok(call.played >= 0.2, `${call.played} s`);
  call.writeAudio(8_000, new Int16Array(80_000));
  call.mark("never");
  assert.ok(call.queued > 9, `${call.queued} s`);
  assert.ok(call.flushAudio() > 9);
  await call.until(() => marks.length === 2);
  assert.deepEqual(marks, [["soon", true], ["never", false]]);
  await call.play(8_000, new Int16Array(0));
  assert.equal(call.queued, 0);
  assert.equal(call.readAudioOrSilence(8_000, 24_000).length, 24_000);

  let digits = 0;
  answering.on("dtmf", () => (digits += 1));
  call.sendDtmf("195");
  await answering.until(() => digits === 3);
  assert.equal(answering.takeDtmf(1), "1");
  assert.equal(answering.takeDtmf(2), "95");
  assert.equal(answering.takeDtmf(1), "");

  // What nobody has taken when the call ends can be taken after it.
  call.sendDtmf("20#");
  await answering.until(() => digits === 6);
  await call.hangup();
  await answering.ended();
  assert.equal(await answering.readDtmf(1), "2");
  assert.equal(answering.takeDtmf(), "0#");
  assert.equal(answering.takeDtmf(), "");
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
  // Those of the calls themselves may still be about to close; each round tried twenty ports.
  assert.ok(open() <= before + 8, `${before} descriptors before, ${open()} after`);
});

test("a call that is denied says why", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  bob.on("incoming", (call) => call.deny(486));
  const call = alice.call(at(bob));
  await assert.rejects(call.answered(), { code: "not_answered", status: 486 });
  assert.equal(call.state, "ended");
});

test("a call that is given up ends on both sides", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  const answering = await arriving;
  const [end] = await Promise.all([call.cancel(), answering.ended()]);
  assert.equal(end.code, 487);
});

/** Alice and Bob in a call, and Carol whom Alice transfers Bob to. */
async function three(t) {
  const alice = await started(t, "alice");
  const bob = await started(t, "bob", { acceptTransfer: true });
  const carol = await started(t, "carol");
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  const answering = await arriving;
  await Promise.all([answering.answer(), call.answered()]);
  const referred = new Promise((resolve) => answering.on("referred", resolve));
  return { call, answering, referred, ringing: nextCall(carol), carol: at(carol) };
}

test("a call is held and resumed", OPTIONS, async (t) => {
  const { call, answering } = await three(t);
  const told = [];
  answering.on("hold", ({ by, held }) => told.push([by, held]));
  await call.hold();
  assert.deepEqual([call.info.holding, answering.info.held], [true, true]);
  await call.resume();
  assert.deepEqual([call.info.holding, answering.info.held], [false, false]);
  assert.deepEqual(told, [["remote", true], ["remote", false]]);
  await call.hangup();
  await assert.rejects(call.hold(), { code: "ended" });
});

test("a transfer is followed to its end", OPTIONS, async (t) => {
  const { call, answering, referred, ringing, carol } = await three(t);
  const outcome = call.transfer(carol, { mode: "notified" });
  const referral = await referred;
  assert.equal(referral.to, carol);
  assert.match(referral.by, /^sip:alice@/);
  const onward = referral.accept();
  await (await ringing).answer();
  await onward.answered();
  const { transferred, code } = await outcome;
  assert.deepEqual({ transferred, code }, { transferred: true, code: 200 });
  assert.equal((await call.ended()).by, "local");
  await answering.ended();
  assert.equal(onward.state, "answered");
  await onward.hangup();
});

test("a transfer that fails leaves the call as it was", OPTIONS, async (t) => {
  const { call, referred, ringing, carol } = await three(t);
  const failing = call.transfer(carol, { mode: "notified" });
  await assert.rejects(call.transfer(carol), { code: "transfer_pending" });
  (await referred).accept();
  (await ringing).deny(486);
  const { transferred, code } = await failing;
  assert.deepEqual({ transferred, code }, { transferred: false, code: 486 });
  const refused = call.transfer("sip:nobody at all");
  await assert.rejects(refused, { code: "invalid_value" });
  await assert.rejects(call.transfer(carol, { mode: "slowly" }), { code: "invalid_value" });
  assert.equal(call.state, "answered");
  await call.hangup();
});

test("a referral may be refused", OPTIONS, async (t) => {
  const { call, referred, carol } = await three(t);
  const refused = call.transfer(carol);
  (await referred).reject();
  assert.deepEqual(await refused, { transferred: false, code: 603, reason: "Decline" });
  await call.hangup();
});

test("a request of any method is answered", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const answer = await alice.request("NOTIFY", at(bob), { headers: { Event: "keep-alive" } });
  assert.equal(answer.code, 200);
  assert.ok(answer.headers.some(([name]) => name === "CSeq"));
  const own = { body: "x", contentType: "text/x" };
  assert.equal((await alice.request("JUMP", at(bob), own)).code, 501);
  await assert.rejects(alice.request("INVITE", at(bob)), { code: "invalid_value" });
  const { call } = await three(t);
  assert.equal((await call.request("INFO")).code, 200);
  await call.hangup();
  await assert.rejects(call.request("INFO"), { code: "ended" });
});

test("the far end may make the offer", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  bob.on("incoming", (call) => call.answer());
  const call = alice.call(at(bob), { lateOffer: true, maxRedirects: 0 });
  await call.answered();
  assert.equal(call.info.codec, "PCMU");
  await call.hangup();
});

test("messages go both ways, and a refusal says why", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const came = [];
  bob.on("message", (event) => came.push(event));
  const { code, reason, headers } = await alice.message(at(bob), "Grüße");
  assert.deepEqual([code, reason], [200, "OK"]);
  assert.ok(headers.some(([name]) => name === "CSeq"), JSON.stringify(headers));
  await alice.message(at(bob), new Uint8Array([123, 125]), "application/json");
  assert.deepEqual(came.map(({ body, contentType }) => [body, contentType]), [
    ["Grüße", "text/plain"],
    ["{}", "application/json"],
  ]);
  assert.match(came[0].from, /^sip:alice@/);
  const long = alice.message(at(bob), "x".repeat(1_200));
  await assert.rejects(long, { code: "too_large" });
  await assert.rejects(alice.message(at(bob), "x", "no type"), { code: "invalid_value" });
  const pong = await alice.options(at(bob));
  assert.equal(pong.code, 200);
  assert.ok(pong.roundTripMs > 0 && pong.roundTripMs < 5_000, `${pong.roundTripMs} ms`);
  assert.ok(pong.headers.some(([name]) => name === "Allow"), JSON.stringify(pong.headers));
});

test("commands that the state forbids throw a stable code", OPTIONS, async (t) => {
  const alice = await started(t, "alice");
  await assert.rejects(alice.start(), { code: "invalid_status" });
  const call = alice.call("sip:127.0.0.1:9");
  await assert.rejects(call.hangup(), { code: "invalid_state" });
  assert.throws(() => alice.call("sip:not a uri"), { code: "invalid_value" });
  assert.throws(() => call.sendDtmf("1"), { code: "invalid_state" });
});

test("a port in use is the error of start", OPTIONS, async (t) => {
  const alice = await started(t, "alice");
  const bind = `127.0.0.1:${alice.local.port}`;
  await assert.rejects(new Phone({ user: "bob", bind }).start(), { code: "bind" });
});

test("without media ports a call ends with the reason", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const carol = new Phone({ user: "carol", bind: "127.0.0.1:0", rtpPorts: [41_100, 41_101] });
  t.after(() => carol.stop());
  await carol.start();
  const taking = nextCall(bob);
  const first = carol.call(at(bob));
  await taking;
  const second = carol.call(at(alice));
  assert.equal((await second.ended()).error.code, "no_ports_available");
  await first.cancel();
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
  assert.deepEqual(asked, [alice.local.port]);
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

test("a WAV is played by its bytes and by its path", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  const answering = await arriving;
  await Promise.all([answering.answer(), call.answered()]);
  const directory = mkdtempSync(join(tmpdir(), "offhook-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "tone.wav");
  // Mu-law, as telephone systems keep their announcements, and of no length, as from a pipe.
  writeFileSync(path, wav(tone(1_000, 8_000, 1, 1), { mulaw: true, length: 0xffffffff }));
  const whole = wav(tone(700, 16_000, 1, 1));
  await assertHears(answering, { play: () => call.play(path) }, 1_000);
  await assertHears(answering, { play: () => call.play(whole) }, 700);
  await assert.rejects(call.play(new Uint8Array(100)), { code: "wav", message: /no WAV file/ });
  await assert.rejects(call.play(join(directory, "none.wav")), { code: "ENOENT" });
  const { rate, samples, cutShort } = readWav(whole.subarray(0, whole.length - 16_000));
  assert.deepEqual([rate, samples.length], [16_000, 24_000]);
  assert.match(cutShort, /last 0\.5 s are missing/);
  await call.hangup();
});

test("the program of the README survives callers who hang up at any moment", OPTIONS, async (t) => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const serve = /^async function serve\(call\) \{\n(?<body>.*?)^\}/ms.exec(readme).groups.body;
  const told = [];
  const program = new Function("phone", "console", `return (async () => {
    for await (const call of phone.incoming()) {
      serve(call).catch((error) => console.error(\`\${call.from}: \${error.message}\`));
    }
    async function serve(call) {
      ${serve.replace('"welcome.wav"', "8000, new Int16Array(800)")}
    }
  })()`);
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const running = program(bob, { log: (...text) => told.push(text), error: (text) => told.push(text) });
  for (const patience of [0, 1, 5, 20, 60, 200]) {
    const call = alice.call(at(bob));
    await Promise.race([call.answered(), setTimeout(patience)]);
    await (call.state === "answered" ? call.hangup() : call.cancel());
  }
  const call = alice.call(at(bob));
  await call.answered();
  call.sendDtmf("7");
  assert.equal((await call.ended()).by, "remote");
  assert.equal(told.at(-1)[1], "7");
  await bob.stop();
  await running;
});

test("a call that is over refuses everything in the same way, and its first listener hears it whole", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  assert.throws(() => call.sendDtmf("1"), { code: "invalid_state" });
  const called = await arriving;
  await Promise.all([called.answer(), call.answered()]);
  call.sendDtmf("12");
  await new Promise((resolve) => called.on("dtmf", ({ digit }) => digit === "2" && resolve()));
  assert.equal(called.takeDtmf(0), "");
  assert.equal(called.takeDtmf(null), "12");
  const ending = call.hangup();
  assert.equal(call.state, "ended");
  const commands = {
    answer: () => call.answer(),
    progress: () => call.progress(),
    deny: () => call.deny(),
    "deny with an impossible code": () => call.deny(99),
    redirect: () => call.redirect("sip:x@127.0.0.1:9"),
    hangup: () => call.hangup(),
    cancel: () => call.cancel(),
    hold: () => call.hold(),
    resume: () => call.resume(),
    transfer: () => call.transfer("sip:x@127.0.0.1:9"),
    request: () => call.request("INFO"),
    writeAudio: () => call.writeAudio(8_000, new Int16Array(160)),
    mark: () => call.mark("here"),
    play: () => call.play(8_000, new Int16Array(160)),
    sendDtmf: () => call.sendDtmf("1"),
  };
  const refuseAll = async () => {
    for (const [name, command] of Object.entries(commands)) {
      const refusal = await (async () => command())().catch((error) => error);
      assert.ok(refusal instanceof Error, name);
      assert.equal(refusal.code, "ended", name);
    }
  };
  await refuseAll();
  await Promise.all([ending, called.ended()]);
  await refuseAll();

  const states = [];
  call.on("state", ({ state }) => states.push(state));
  await Promise.resolve();
  assert.deepEqual([states[0], states.at(-1)], ["dialing", "ended"]);
  const later = [];
  call.on("state", ({ state }) => later.push(state));
  await Promise.resolve();
  assert.deepEqual(later, []);
});

test("a start that fails here is told like any other, and one without an answer ends in time", OPTIONS, async (t) => {
  const taken = await started(t, "taken");
  const bind = `127.0.0.1:${taken.local.port}`;
  const phone = new Phone({ user: "alice", bind });
  const told = [];
  phone.on("status", ({ status }) => told.push(status));
  await assert.rejects(phone.start(), { code: "bind", message: /cannot listen on 127.0.0.1 port/ });
  assert.deepEqual([phone.status, told], ["failed", ["failed"]]);
  await taken.stop();
  await phone.start();
  assert.equal(phone.status, "registered");
  await phone.stop();

  const nobody = createSocket("udp4").bind(0, "127.0.0.1");
  t.after(() => nobody.close());
  await once(nobody, "listening");
  const server = `127.0.0.1:${nobody.address().port}`;
  const alone = new Phone({ server, user: "alice", bind: "127.0.0.1:0", startTimeout: 0.3 });
  await assert.rejects(alone.start(), { code: "registration_failed" });
  assert.equal(alone.status, "failed");
});

test("what cannot be used is an Error with a code, of whatever type it is", OPTIONS, async (t) => {
  const phone = await started(t, "alice");
  for (const value of [undefined, null, 5, {}, [], Symbol("x"), () => {}]) {
    for (const act of [
      () => phone.call(value),
      () => phone.options(value),
      () => phone.message(value, value),
      () => phone.message("sip:x@127.0.0.1:9", value, value ?? 5),
      () => phone.request(value, value),
      () => new Phone({ user: value, bind: value }),
      () => phone.call("sip:x@127.0.0.1:9", { headers: value ?? 5, codecs: value ?? 5 }),
    ]) {
      const refusal = await (async () => act())().catch((error) => error);
      if (!(refusal instanceof Error)) continue;
      assert.ok(refusal.code, `${String(value)}: ${act}: ${refusal.stack}`);
      assert.doesNotMatch(refusal.message, /unwrap|panick|unreachable|recursive/, String(act));
    }
  }
  assert.equal(phone.status, "registered", "it goes on");
});
