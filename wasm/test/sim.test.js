// The simulation: phones as everywhere, in virtual time.
import { strict as assert } from "node:assert";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Call, OffhookError, Phone, readWav } from "../dist/node.js";
import { Simulation } from "../dist/sim/node.js";
import { amplitude, tone, wav } from "./sound.js";

const USERS = { alice: "a", bob: "b", carol: "c" };

/** An exchange, and phones that are registered there. */
async function registered(users = ["alice", "bob"], { seed = 1, ...more } = {}) {
  const sim = new Simulation({ seed });
  const exchange = sim.exchange("10.0.0.1", { users: USERS });
  const phones = users.map((user, i) =>
    sim.phone(`10.0.0.${i + 2}`, { server: "10.0.0.1", user, password: user[0], ...more }),
  );
  await sim.until(Promise.all(phones.map((phone) => phone.start())));
  return { sim, exchange, phones };
}

/** Two phones, and the two ends of their call. */
async function connected(options) {
  const { sim, phones } = await registered(["alice", "bob"], options);
  const [alice, bob] = phones;
  const arriving = new Promise((resolve) => bob.once("incoming", ({ call }) => resolve(call)));
  const call = alice.call("bob");
  const answering = await sim.until(arriving);
  await sim.until(Promise.all([answering.answer(), call.answered()]));
  return { sim, alice, bob, call, answering };
}

test("phones are those of the package, and register at an exchange", async () => {
  const { sim, exchange, phones } = await registered(["alice", "bob", "carol"]);
  assert.ok(phones[0] instanceof Phone);
  assert.deepEqual(phones.map(({ status }) => status), ["registered", "registered", "registered"]);
  assert.deepEqual(phones[1].listening, [{ transport: "UDP", address: "10.0.0.3", port: 5060 }]);
  assert.match(exchange.contacts("bob")[0], /10\.0\.0\.3/);
  assert.equal(exchange.contacts("nobody"), undefined);
  await sim.until(phones[1].stop());
  assert.deepEqual(exchange.contacts("bob"), []);
  await assert.rejects(sim.until(phones[0].call("bob").answered()), { name: "OffhookError", status: 480 });
});

test("an answer is known at its very instant", async () => {
  const { sim, phones: [alice, bob] } = await registered();
  sim.link("10.0.0.2", "10.0.0.1", { delay: 10 });
  sim.link("10.0.0.1", "10.0.0.3", { delay: 100 });
  const times = [];
  const story = async () => {
    const call = alice.call("bob");
    const began = sim.now;
    const { call: answering } = await bob.once("incoming");
    times.push(sim.now - began);
    await sim.sleep(5_000);
    await answering.answer();
    await call.answered();
    times.push(sim.now - began);
    return call.hangup();
  };
  const { by } = await sim.until(story());
  assert.equal(by, "local");
  // INVITE is asked for a password once: there and back, and there again.
  assert.deepEqual(times.map(Math.round), [130, 5_240]);
});

test("everything follows from the seed", async () => {
  const run = async (seed) => {
    const { sim, call, answering } = await connected({ seed });
    sim.defaultLink({ delay: 20, jitter: 10, lossPermille: 50 });
    await sim.until(call.play({ rate: 8_000, samples: tone(440, 8_000, 1, 0) }));
    await sim.until(answering.hangup());
    return [sim.traceHash, sim.now, sim.ladder()];
  };
  const [first, again, other] = [await run(3), await run(3), await run(4)];
  assert.deepEqual(again, first);
  assert.notEqual(other[0], first[0]);
  assert.match(first[2], /INVITE/);
});

test("a scripted peer sends, hears and answers", async () => {
  const sim = new Simulation();
  const alice = sim.phone("10.0.0.2", { user: "alice" });
  const peer = sim.peer("10.0.0.9", (message, self) => {
    if (message.what === "INVITE") self.reply(message, "486 Busy Here");
    if (message.what === "OPTIONS") self.reply(message, "200 OK", "X-Peer: yes\n");
  });
  await sim.until(alice.start());
  await assert.rejects(sim.until(alice.call("sip:bob@10.0.0.9").answered()), { code: "rejected", status: 486 });
  const { code, headers } = await sim.until(alice.options("sip:10.0.0.9"));
  assert.equal(code, 200);
  assert.deepEqual(headers.filter(([name]) => name === "X-Peer"), [["X-Peer", "yes"]]);
  assert.match(peer.last("INVITE").header("call-id"), /./);
  assert.match(peer.last("INVITE").body, /^v=0/);
  peer.send(
    "10.0.0.2:5060",
    `OPTIONS sip:alice@10.0.0.2 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1
From: <sip:peer@10.0.0.9>;tag=1
To: <sip:alice@10.0.0.2>
Call-ID: 1
CSeq: 1 OPTIONS
Max-Forwards: 70
Content-Length: 0

`,
  );
  await sim.run(10);
  assert.match(peer.last(200).header("Allow"), /INVITE/);
  assert.equal(peer.received.length, 4);
});

test("networks fall apart, phones die, and names have addresses", async () => {
  const sim = new Simulation();
  const [alice, bob] = ["10.0.0.2", "10.0.0.3"].map((address) => sim.phone(address, { user: "someone" }));
  await sim.until(Promise.all([alice.start(), bob.start()]));
  sim.name("bob.example.com", ["10.0.0.3"]);
  bob.on("incoming", ({ call }) => call.answer());
  const call = alice.call("sip:bob@bob.example.com");
  await sim.until(call.answered());
  sim.partition("10.0.0.2", "10.0.0.3");
  const ended = call.hangup();
  await sim.run(1_000);
  sim.heal("10.0.0.2", "10.0.0.3");
  assert.equal((await sim.until(ended)).by, "local");
  sim.kill("10.0.0.3");
  const began = sim.now;
  await assert.rejects(sim.until(alice.call("sip:bob@bob.example.com").answered()), OffhookError);
  assert.ok(sim.now - began > 20_000, `${sim.now - began} ms`);
});

test("a phone that has moved registers from where it is", async () => {
  const { sim, exchange, phones: [alice, bob] } = await registered();
  sim.move("10.0.0.3", "10.0.7.7");
  assert.deepEqual(bob.listening, [{ transport: "UDP", address: "10.0.7.7", port: 5060 }]);
  bob.networkChanged();
  await sim.run(2_000);
  assert.match(exchange.contacts("bob")[0], /10\.0\.7\.7/);
  bob.on("incoming", ({ call }) => call.answer());
  await sim.until(alice.call("bob").answered());
  sim.kill("10.0.7.7");
  assert.throws(() => sim.move("10.0.0.1", "10.0.7.8"), { code: "invalid_value", message: /no phone is there/ });
});

test("the capture of a phone is the record of the network", async () => {
  const { sim, phones: [alice] } = await registered(["alice", "bob"], { capture: true });
  assert.equal(alice.capture.missed, 0);
  alice.capture.name("10.0.0.1", 5060, "the exchange");
  assert.match(alice.capture.svg(), /the exchange/);
  assert.equal(alice.capture.ladder(), sim.ladder());
  assert.deepEqual(alice.capture.pcap(), sim.pcap());
});

test("what is done twice or wrongly is refused in words", async () => {
  const sim = new Simulation();
  const refused = { name: "OffhookError", code: "invalid_value" };
  sim.peer("10.0.0.1");
  assert.throws(() => sim.peer("10.0.0.1"), refused);
  assert.throws(() => sim.phone("nowhere", { user: "alice" }), refused);
  assert.throws(() => sim.phone("10.0.0.2", { user: "alice", transport: "pigeon" }), refused);
  assert.ok(sim.phone("10.0.0.2", { user: "alice" }), "nothing is left of it");
  assert.throws(() => sim.link("10.0.0.1", "10.0.0.2", { delay: -1 }), refused);
  assert.throws(() => sim.kill("10.0.0.77"), refused);
});

test("a class of calls, a handler of messages and another account work as everywhere", async () => {
  const said = [];
  class Doorbell extends Call {
    async ringing() {
      await this.answer();
      await this.play({ rate: 8_000, samples: new Int16Array(800) });
    }
    onDtmf(digit) {
      said.push(digit);
      if (digit === "#") void this.hangup();
    }
  }
  const methods = [];
  const sipHandler = {
    requestIn(request) {
      methods.push(request.method);
      assert.throws(() => door.calls[0].info, { code: "in_handler" });
    },
  };
  const sim = new Simulation();
  sim.exchange("10.0.0.1", { users: USERS });
  const door = sim.phone("10.0.0.2", { server: "10.0.0.1", user: "alice", password: "a", callClass: Doorbell, sipHandler });
  const other = door.anotherAccount({ server: "10.0.0.1", user: "carol", password: "c" });
  const bob = sim.phone("10.0.0.3", { server: "10.0.0.1", user: "bob", password: "b" });
  await sim.until(Promise.all([door.start(), other.start(), bob.start()]));
  const call = bob.call("alice");
  await sim.until(call.answered());
  call.sendDtmf("12#");
  assert.equal((await sim.until(call.ended())).by, "remote");
  assert.deepEqual(said, ["1", "2", "#"]);
  assert.deepEqual([...new Set(methods)].sort(), ["ACK", "INVITE"]);
  other.on("incoming", ({ call }) => call.answer());
  await sim.until(bob.call("carol").answered());
});

test("files are played and recorded, and time stands still meanwhile", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "offhook-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { sim, call, answering } = await connected();
  const file = join(folder, "heard.wav");
  const recording = await sim.until(answering.record(file, { kept: "received" }));
  await sim.until(call.play(wav(tone(1_000, 8_000, 1, 0))));
  await sim.run(200);
  await sim.until(call.hangup());
  const began = sim.now;
  await sim.until(recording.finished());
  assert.equal(sim.now, began);
  const { rate, samples } = readWav(await readFile(file));
  assert.equal(rate, 8_000);
  assert.ok(amplitude(samples.subarray(2_000, 7_000), 1_000) > 7_500);
  await assert.rejects(sim.until(call.play(join(folder, "none.wav"))), { code: "ended" });
});

test("a simulation that is disposed of refuses everything, and is disposed of twice", async () => {
  const { sim, alice, call } = await connected();
  const exchange = sim.exchange("10.0.0.8", { users: USERS });
  const peer = sim.peer("10.0.0.9");
  const running = sim.run(1_000);
  sim[Symbol.dispose]();
  sim[Symbol.dispose]();
  const gone = { name: "OffhookError", code: "disposed" };
  await assert.rejects(running, gone);
  for (const act of [
    () => sim.now,
    () => sim.traceHash,
    () => sim.ladder(),
    () => sim.phone("10.0.0.20", { user: "dora" }),
    () => sim.peer("10.0.0.21"),
    () => sim.run(1),
    () => sim.sleep(1),
    () => sim.until(new Promise(() => {})),
    () => exchange.contacts("bob"),
    () => peer.send("10.0.0.2:5060", "x"),
    () => alice.call("bob"),
    () => alice.start(),
    () => alice.stop(),
    () => alice.close(),
    () => call.state,
    () => call.hangup(),
    () => call.takeDtmf(),
  ]) {
    await assert.rejects(async () => act(), (error) => {
      assert.equal(error.name, "OffhookError", String(act));
      return true;
    });
  }
  await assert.rejects(alice.stop(), gone);
});
