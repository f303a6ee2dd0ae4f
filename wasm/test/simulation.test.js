// The simulation's module: machines, exchanges and scripted peers in virtual time.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Simulation, initSync } from "../dist/sim_glue.js";

initSync({ module: readFileSync(new URL("../dist/sim.wasm", import.meta.url)) });

const SECOND = 1_000_000;
const file = (name) => readFileSync(new URL(name, import.meta.url), "utf8").trim();
const text = (bytes) => Buffer.from(bytes).toString();

/** Lets so many seconds go by. */
const run = (sim, seconds) => sim.advance(sim.now() + seconds * SECOND);

/** Adds an account and starts it; its line. */
function phone(machine, parameters, handler) {
  const line = machine.add(parameters, handler);
  machine.start(line);
  return line;
}

function events(machine) {
  const all = [];
  for (let event; (event = machine.nextEvent()); ) all.push(event);
  return all;
}

test("a world has one trace, here and in Rust", () => {
  // wasm/tests/world.rs does the same.
  const play = (seed) => {
    const sim = new Simulation(seed);
    const few = { lossPermille: 20, duplicatePermille: 10, reorderPermille: 10 };
    sim.setDefaultLink({ delay: 20, jitter: 5, ...few });
    const users = [
      { name: "alice", password: "a" },
      { name: "bob", password: "b" },
    ];
    sim.exchange("10.0.0.9", { users });
    const here = sim.machine("10.0.0.1");
    const there = sim.machine("10.0.0.2");
    sim.nat(["10.0.0.1"], { public: "203.0.113.1", kind: "port-restricted" });
    const server = "10.0.0.9";
    const alice = phone(here, { server, user: "alice", password: "a" });
    phone(there, { user: "bella" });
    const bob = phone(there, { server, user: "bob", password: "b", transport: "tcp" });
    run(sim, 2);
    assert.match(sim.contacts(server, "bob")[0], /^sip:bob@10\.0\.0\.2.*transport=tcp/i);
    assert.equal(sim.contacts(server, "carol"), undefined);

    const calling = here.call(alice, "bob");
    run(sim, 1);
    const [called] = there.calls(bob);
    there.answer(called);
    run(sim, 1);
    assert.equal(here.state(calling), "answered");
    const saw = Int16Array.from({ length: 4_000 }, (_, i) => (i % 80) * 100 - 4_000);
    assert.equal(here.writeAudio(calling, 8_000, saw), saw.length);
    here.sendDtmf(calling, "42#");
    run(sim, 3);
    assert.equal(there.availableDtmf(called), 3);
    there.hangup(called);
    run(sim, 2);
    assert.equal(here.calls(alice).length, 0);
    return sim;
  };
  const sim = play(7n);
  assert.equal(sim.traceHash(), file("world.hash"), "wasm/test/world.hash");
  assert.notEqual(play(8n).traceHash(), sim.traceHash());
  const ladder = sim.ladder();
  for (const part of ["203.0.113.1:5060", "REGISTER", "407 Proxy Authentication Required", "BYE", "RTP"]) {
    assert.ok(ladder.includes(part), `${part} is not in\n${ladder}`);
  }
  sim.nameAddress("10.0.0.9", 5060, "the exchange");
  assert.match(sim.svg(), /the exchange/);
  assert.ok(sim.pcap().length > 10_000);
  sim.note("this was told");
  assert.notEqual(sim.traceHash(), file("world.hash"));
});

test("steps take time to where something happens", () => {
  const sim = new Simulation(1n);
  const machine = sim.machine("10.0.0.1");
  sim.setDefaultLink({ delay: 250 });
  const other = sim.machine("10.0.0.2");
  assert.deepEqual([sim.nextAt(), sim.step()], [Infinity, false]);
  const [alice, bob] = [phone(machine, { user: "alice" }), phone(other, { user: "bob" })];
  const call = machine.call(alice, "sip:bob@10.0.0.2");
  assert.ok(sim.nextAt() <= sim.now(), "a command is carried out at once");
  while (other.calls(bob).length === 0) assert.equal(sim.step(), true);
  assert.equal(sim.now(), 1_250_000);
  const incoming = events(other).find(({ type }) => type === "incoming");
  assert.equal(incoming.line, bob);
  other.answer(incoming.call);
  while (machine.state(call) !== "answered") sim.step();
  assert.equal(sim.now(), 1_500_000);
  // A machine that does not run misses what comes.
  sim.stall("10.0.0.2", 2_000);
  machine.hangup(call);
  run(sim, 1);
  assert.equal(other.state(incoming.call), "answered");
  run(sim, 2);
  const { by, durationMs } = events(other).find(({ type }) => type === "ended");
  assert.deepEqual([by, durationMs], ["remote", 2_250]);
});

test("partitions, names, certificates and deaths", () => {
  const sim = new Simulation(2n);
  const [here, there] = ["10.0.0.1", "10.0.0.2"].map((at) => sim.machine(at));
  const alice = phone(here, { user: "alice", transport: "tls" });
  phone(there, { user: "bob" });
  sim.setName("sip.example.com", ["10.0.0.2"]);
  const end = (seconds) => {
    here.call(alice, "sip:bob@sip.example.com:5060");
    run(sim, seconds);
    return events(here).find(({ type }) => type === "ended");
  };
  sim.certificate("10.0.0.2", { uris: [], dnsNames: ["other.example.net"], addresses: [] });
  assert.match(end(5).error.message, /its certificate is for other\.example\.net/);
  sim.untrusted("10.0.0.2", "its certificate expired on 2 May 2026");
  assert.match(end(5).error.message, /expired on 2 May 2026/);
  sim.untrusted("10.0.0.2");
  sim.certificate("10.0.0.2", { uris: [], dnsNames: ["sip.example.com"], addresses: [] });
  assert.equal(end(5), undefined, "it rings");
  assert.equal(there.calls(1).length, 1);
  sim.listening("10.0.0.2", "TLS", false);
  sim.cut("10.0.0.1", "10.0.0.2");
  sim.setNameServer({ failing: true, ttl: 1, delay: 10 });
  sim.kill("10.0.0.2");
  sim.partition("10.0.0.1", "10.0.0.2");
  sim.heal("10.0.0.1", "10.0.0.2");
  assert.throws(() => sim.kill("10.0.0.3"), { code: "invalid_value", message: /nobody is there/ });
  assert.throws(() => sim.machine("10.0.0.1"), { code: "invalid_value", message: /already/ });
  assert.throws(() => sim.machine("somewhere"), { code: "invalid_value" });
  assert.throws(() => sim.link("10.0.0.1", "10.0.0.2", { latency: 5 }), /latency/);
  assert.throws(() => sim.link("10.0.0.1", "10.0.0.2", { lossPermille: 1_001 }), { code: "invalid_value" });
  assert.throws(() => sim.nat(["10.0.0.1"], { kind: "symmetric" }), /no public address/);
  assert.throws(() => sim.exchange("10.0.0.8", { users: [{ name: "a" }] }), { code: "invalid_value" });
});

test("a phone that has moved says so", () => {
  const sim = new Simulation(3n);
  const [here, there] = ["10.0.0.1", "10.0.0.2"].map((at) => sim.machine(at));
  const [alice, bob] = [phone(here, { user: "alice" }), phone(there, { user: "bob" })];
  const call = here.call(alice, "sip:bob@10.0.0.2");
  run(sim, 1);
  there.answer(there.calls(bob)[0]);
  run(sim, 1);
  sim.move("10.0.0.1", "10.0.1.1");
  here.networkChanged();
  run(sim, 1);
  assert.ok(events(there).some(({ type }) => type === "renegotiated"));
  here.hangup(call);
  run(sim, 1);
  assert.equal(there.calls(bob).length, 0);
  assert.throws(() => sim.move("10.0.1.1", "10.0.0.2"), /already/);
  sim.kill("10.0.1.1");
});

test("a scripted peer sends what it is given and answers by number", () => {
  const sim = new Simulation(4n);
  const machine = sim.machine("10.0.0.1");
  const peer = sim.peer("10.0.0.2:5070");
  const seen = [];
  const alice = phone(machine, { user: "alice" }, {
    requestIn(request) {
      seen.push(request.method);
      for (const act of [() => sim.step(), () => machine.calls(alice), () => peer.next()]) {
        assert.throws(act, { code: "busy" });
      }
    },
  });
  const call = machine.call(alice, "sip:bob@10.0.0.2:5070");
  run(sim, 0.1);
  const invite = peer.next();
  assert.match(text(invite.bytes), /^INVITE sip:bob@10\.0\.0\.2:5070 SIP\/2\.0\r\n/);
  assert.deepEqual([invite.id, invite.from, invite.transport], [0, "10.0.0.1:5060", "UDP"]);
  assert.equal(peer.next(), undefined);
  peer.reply(invite.id, "486 Busy Here", "X-Why: lunch\n");
  run(sim, 0.1);
  const { code, reason } = events(machine).find(({ type, call: of }) => type === "ended" && of === call);
  assert.deepEqual([code, reason], [486, "Busy Here"]);
  assert.match(text(peer.next().bytes), /^ACK /);
  assert.throws(() => peer.reply(9, "200 OK"), { code: "invalid_value" });
  const options = `OPTIONS sip:alice@10.0.0.1 SIP/2.0
Via: SIP/2.0/TCP 10.0.0.2:5070;branch=z9hG4bK1
From: <sip:b@10.0.0.2>;tag=1
To: <sip:alice@10.0.0.1>
Call-ID: one
CSeq: 1 OPTIONS
Max-Forwards: 70
Content-Length: 0

`;
  peer.send("10.0.0.1:5060", options, "TCP");
  peer.sendBytes("10.0.0.1", Uint8Array.of(13, 10, 13, 10));
  run(sim, 0.1);
  assert.match(text(peer.next().bytes), /^SIP\/2\.0 200 OK/);
  assert.deepEqual(seen, ["OPTIONS"]);
  assert.deepEqual(events(machine).filter(({ type }) => type === "handlerFailed"), []);
});
