// Calls of two phones of this package without a server, over real sockets.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { OffhookError, Phone } from "../dist/node.js";
import { at, connected, nextCall, OPTIONS, started } from "./phones.js";

test("a call comes in, is answered and ends", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  assert.deepEqual([call.state, call.direction, call.rate], ["dialing", "outgoing", 8_000]);
  const answering = await arriving;
  assert.match(answering.from, /^sip:alice@/);
  assert.match(answering.to, /^sip:bob@/);
  assert.deepEqual([answering.state, answering.direction], ["ringing", "incoming"]);
  assert.match(answering.info.requestUri, /^sip:/);
  assert.match(Buffer.from(answering.info.body).toString(), /^v=0\r\n/);
  await Promise.all([answering.answer(), call.answered()]);
  assert.equal(call.info.codec, "PCMU");
  assert.deepEqual(alice.calls, [call]);
  assert.deepEqual(bob.calls, [answering]);

  const [end] = await Promise.all([answering.ended(), call.end()]);
  assert.equal(end.by, "remote");
  assert.ok(end.setupMs >= 0 && end.durationMs > 0);
  const ours = await call.ended();
  assert.deepEqual(Object.keys(ours).filter((key) => key === "call" || key === "line"), []);
  assert.equal(ours.by, "local");
  assert.equal(end.stats.codec, "PCMU");
  assert.equal(call.stats, ours.stats);
  assert.deepEqual(alice.calls, []);
});

test("a call is answered with a codec of its own", OPTIONS, async (t) => {
  const codecs = ["G722", "PCMA"];
  const { call } = await connected(t, { here: { codecs }, there: { codecs } });
  assert.deepEqual([call.info.codec, call.rate], ["G722", 16_000]);
});

test("a call that is denied says why", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const denied = new Promise((resolve) => {
    bob.on("incoming", ({ call }) => resolve(call.deny(486, "At lunch", { retryAfter: 90 })));
  });
  const call = alice.call(at(bob));
  await assert.rejects(call.answered(), (error) => {
    assert.ok(error instanceof OffhookError);
    const { name, code, status, reason, retryAfter, message } = error;
    assert.deepEqual([name, code, status, reason], ["OffhookError", "rejected", 486, "At lunch"]);
    assert.equal(retryAfter, 90);
    assert.equal(message, "it was refused: 486 At lunch (the other side is busy)");
    return true;
  });
  assert.equal(call.state, "ended");
  assert.equal((await denied).by, "local");
});

test("a caller is sent on", OPTIONS, async (t) => {
  const [alice, bob, carol] = [await started(t, "alice"), await started(t, "bob"), await started(t, "carol")];
  bob.on("incoming", ({ call }) => call.redirect(at(carol, "carol")));
  const arriving = nextCall(carol);
  const call = alice.call(at(bob));
  await (await arriving).answer();
  await call.answered();
});

test("media opens before the answer", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  const ringing = await arriving;
  const early = call.once("state");
  await ringing.progress();
  assert.equal(ringing.state, "progress");
  const states = call.events();
  for await (const event of states) if (event.type === "state" && event.state === "progress") break;
  assert.equal(call.state, "progress");
  assert.equal((await early).type, "state");
  await ringing.deny();
  await assert.rejects(call.answered(), { code: "rejected", status: 603 });
});

test("a call that is given up ends on both sides", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  const answering = await arriving;
  const [end] = await Promise.all([call.cancel(), answering.ended()]);
  assert.equal(end.code, 487);
  await assert.rejects(answering.answered(), { code: "rejected", status: 487 });
});

test("a call is held and resumed", OPTIONS, async (t) => {
  const { call, answering } = await connected(t);
  const told = [];
  answering.on("hold", ({ by, held }) => told.push([by, held]));
  await call.hold();
  assert.deepEqual([call.info.holding, answering.info.held], [true, true]);
  await call.resume();
  assert.deepEqual([call.info.holding, answering.info.held], [false, false]);
  assert.deepEqual(told, [["remote", true], ["remote", false]]);
  await call.hangup();
  await assert.rejects(call.hold(), { code: "ended", message: "the call is over: this side ended it" });
});

test("the far end may make the offer", OPTIONS, async (t) => {
  const { call } = await connected(t, { options: { lateOffer: true, maxRedirects: 0, streams: 2 } });
  assert.equal(call.info.codec, "PCMU");
});

test("digits come by event, by iteration, by waiting and by taking, each once", OPTIONS, async (t) => {
  const { call, answering } = await connected(t);
  const heard = [];
  answering.on("dtmf", ({ digit, durationMs }) => heard.push([digit, durationMs > 0]));
  call.sendDtmf("195#D");
  assert.equal(await answering.readDtmf(5), "195#D");
  assert.deepEqual(heard.map(([digit]) => digit).join(""), "195#D");
  answering.sendDtmf("*");
  assert.equal(await call.readDtmf(), "*");
  const sent = call.once("dtmfSent");
  call.sendDtmf("20");
  let iterated = "";
  for await (const digit of answering.dtmf) {
    iterated += digit;
    if (iterated.length === 2) break;
  }
  assert.equal(iterated, "20");
  await sent;
  assert.equal(answering.takeDtmf(), "");
  assert.throws(() => call.sendDtmf("x"), { code: "dtmf" });

  // What nobody has taken when the call ends can be taken after it.
  const last = new Promise((resolve) => answering.on("dtmf", ({ digit }) => digit === "#" && resolve()));
  call.sendDtmf("345#");
  await last;
  await call.hangup();
  await answering.ended();
  assert.equal(await answering.readDtmf(1), "3");
  assert.equal(answering.takeDtmf(0), "");
  assert.equal(answering.takeDtmf(1), "4");
  await assert.rejects(answering.readDtmf(3), { code: "ended", message: "the call is over: the far end ended it" });
  let rest = "";
  for await (const digit of answering.dtmf) rest += digit;
  assert.equal(rest, "5#");
  assert.equal(answering.takeDtmf(null), "");
});

test("commands that the state forbids are refused with a stable code", OPTIONS, async (t) => {
  const alice = await started(t, "alice");
  await assert.rejects(alice.start(), { code: "already_running" });
  const call = alice.call("sip:127.0.0.1:9");
  await assert.rejects(call.hangup(), { code: "invalid_state" });
  assert.throws(() => alice.call("sip:not a uri"), { code: "invalid_value" });
  assert.throws(() => call.sendDtmf("1"), { code: "invalid_state" });
});

test("without media ports a call ends with the reason", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const carol = await started(t, "carol", { rtpPorts: [41_100, 41_101] });
  const taking = nextCall(bob);
  const first = carol.call(at(bob));
  await taking;
  const second = carol.call(at(alice));
  await assert.rejects(second.answered(), { code: "no_ports_available" });
  assert.ok((await second.ended()).error instanceof OffhookError);
  await first.cancel();
});

test("a call that is over refuses everything in the same way, and its first listener hears it whole", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  const called = await arriving;
  await Promise.all([called.answer(), call.answered()]);
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
    end: () => call.end(),
    hold: () => call.hold(),
    resume: () => call.resume(),
    transfer: () => call.transfer("sip:x@127.0.0.1:9"),
    request: () => call.request("INFO"),
    sendDtmf: () => call.sendDtmf("1"),
  };
  const refuseAll = async () => {
    for (const [name, command] of Object.entries(commands)) {
      const refusal = await (async () => command())().catch((error) => error);
      assert.ok(refusal instanceof OffhookError, name);
      assert.equal(refusal.code, "ended", name);
    }
  };
  await refuseAll();
  await Promise.all([ending, called.ended()]);
  await refuseAll();
  await call.close();

  const states = [];
  call.on("state", ({ state }) => states.push(state));
  await Promise.resolve();
  assert.deepEqual([states[0], states.at(-1)], ["dialing", "ended"]);
  const later = [];
  call.on("state", ({ state }) => later.push(state));
  await Promise.resolve();
  assert.deepEqual(later, []);
  const types = [];
  for await (const { type } of call.events()) types.push(type);
  assert.equal(types.at(-1), "ended");
});

test("a call and a phone end with the block that they are of", OPTIONS, async (t) => {
  const bob = await started(t, "bob");
  const arriving = nextCall(bob);
  const alice = new Phone({ user: "alice", bind: "127.0.0.1:0" });
  await alice.start();
  const call = alice.call(at(bob));
  const ringing = await arriving;
  await call[Symbol.asyncDispose]();
  assert.equal((await ringing.ended()).code, 487);
  const again = nextCall(bob);
  const other = alice.call(at(bob));
  await Promise.all([(await again).answer(), other.answered()]);
  await alice[Symbol.asyncDispose]();
  assert.deepEqual([alice.status, other.state, alice.listening], ["inactive", "ended", []]);
  assert.throws(() => alice.call(at(bob)), { code: "not_running" });
});

test("what is known about a call stays when it is over", OPTIONS, async (t) => {
  const { call, answering } = await connected(t);
  const { callId } = call.info;
  await call.hangup();
  await answering.ended();
  for (const each of [call, answering]) {
    assert.deepEqual([each.info.state, each.info.callId], ["ended", callId]);
  }
  assert.match(Buffer.from(answering.info.body).toString(), /^v=0/);
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
      ${serve.replace('"welcome.wav"', "{ rate: 8000, samples: new Int16Array(800) }")}
    }
  })()`);
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const running = program(bob, { log: (...text) => told.push(text), error: (text) => told.push(text) });
  for (const patience of [0, 1, 5, 20, 60, 200]) {
    const call = alice.call(at(bob));
    await call.answered({ signal: AbortSignal.timeout(patience) }).catch(() => {});
    await call.close();
  }
  const call = alice.call(at(bob));
  await call.answered();
  call.sendDtmf("7");
  assert.equal((await call.ended()).by, "remote");
  assert.equal(told.at(-1)[1], "7");
  await bob.stop();
  await running;
});

test("a call ends for a reason that the far end learns", OPTIONS, async (t) => {
  const { call, answering } = await connected(t);
  const reasons = [{ protocol: "Q.850", cause: 16, text: "Normal clearing" }];
  const [end] = await Promise.all([answering.ended(), call.hangup({ reasons })]);
  assert.deepEqual(end.reasons, reasons);
  assert.equal(end.answeredElsewhere, false);
});

test("an iteration of digits that is given up waits for nothing and takes nothing", OPTIONS, async (t) => {
  const { call, answering } = await connected(t);
  const digits = answering.dtmf[Symbol.asyncIterator]();
  const waiting = digits.next();
  assert.deepEqual(await digits.return(), { done: true, value: undefined });
  assert.deepEqual(await waiting, { done: true, value: undefined });
  call.sendDtmf("7");
  assert.equal(await answering.readDtmf(), "7");
  assert.deepEqual(await digits.next(), { done: true, value: undefined });
  for (const count of [0, -1, 1.5, NaN, Infinity, "1", null]) {
    await assert.rejects(answering.readDtmf(count), { name: "OffhookError", code: "invalid_value" });
  }
});
