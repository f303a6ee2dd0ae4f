// Machines back to back, in memory: no sockets, no time that passes by itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tone } from "./sound.js";
import { Wire } from "./wire.js";

const LINE = 2 ** 32;
const text = (bytes) => Buffer.from(bytes).toString();
const of = (line) => (event) => event.line === line;

/** A wire with two stations. */
function two(certificate) {
  const wire = new Wire();
  return { wire, here: wire.station("10.0.0.1"), there: wire.station("10.0.0.2", certificate) };
}

/** A call that was answered: its number here and there. */
function answered({ wire, here, there }, line, target, options) {
  const calling = here.machine.call(line, target, options);
  wire.settle();
  const incoming = there.take("incoming");
  assert.ok(incoming, `nobody was called: ${here.take("ended")?.error}`);
  there.machine.answer(incoming.call);
  wire.run(100);
  assert.equal(here.machine.state(calling), "answered");
  return [calling, incoming.call];
}

test("two accounts on one machine have their own numbers, calls and events", () => {
  const world = two();
  const { wire, here, there } = world;
  const [alice, anna] = ["alice", "anna"].map((user) => here.phone({ user }));
  const bob = there.phone({ user: "bob" });
  assert.deepEqual([alice, anna, bob], [1, 2, 1]);
  assert.equal(here.machine.status(anna), "registered");
  assert.deepEqual(here.events.filter(of(anna)).map(({ type }) => type), ["status", "status"]);

  const [calling, called] = answered(world, anna, "sip:bob@10.0.0.2");
  assert.equal(Math.floor(calling / LINE), anna);
  assert.equal(Math.floor(called / LINE), bob);
  assert.deepEqual(here.machine.calls(anna), [calling]);
  assert.deepEqual(here.machine.calls(alice), []);
  assert.equal(here.machine.info(calling).call, calling);
  assert.match(there.machine.info(called).remote, /^sip:anna@/);
  assert.deepEqual(there.machine.info(called).parts.map(({ contentType }) => contentType), ["application/sdp"]);

  // Somebody calls our address: whom the Request-URI names.
  const back = there.machine.call(bob, "sip:alice@10.0.0.1");
  wire.settle();
  const incoming = here.take("incoming");
  assert.deepEqual([incoming.line, incoming.call], [alice, alice * LINE + 1]);
  here.machine.deny(incoming.call, 486, "At lunch", 90);
  wire.run(1_000);
  const ended = there.take("ended");
  assert.deepEqual([ended.call, ended.by, ended.code, ended.reason], [back, "remote", 486, "At lunch"]);
  assert.equal(ended.retryAfter, 90);
  assert.equal(ended.setupMs, undefined);
  assert.equal(ended.durationMs, 0);

  assert.throws(() => there.machine.hangup(called, [{ protocol: "no token" }]), { code: "invalid_value" });
  assert.throws(() => there.machine.hangup(called, [{ code: 16 }]), /code/);
  there.machine.hangup(called, [{ protocol: "Q.850", cause: 16, text: "That is all" }, { cause: 200 }]);
  wire.run(1_000);
  const [denied, end] = [here.take("ended"), here.take("ended")];
  assert.deepEqual([denied.line, denied.by, end.line, end.by], [alice, "local", anna, "remote"]);
  assert.equal(end.durationMs, 1_100);
  const reasons = [{ protocol: "Q.850", cause: 16, text: "That is all" }, { protocol: "SIP", cause: 200 }];
  assert.deepEqual([end.reasons, end.answeredElsewhere, denied.reasons], [reasons, true, []]);
  assert.equal(end.setupMs, 0);
  assert.ok(end.stats.sent > 0);
  assert.throws(() => here.machine.hangup(calling), { code: "ended" });
  assert.equal(here.machine.state(calling), undefined);
  assert.equal(here.machine.counters(anna).malformed, 0);
  assert.ok(here.machine.counters(anna).received > 0);

  assert.equal(here.machine.remove(anna), true);
  assert.equal(here.machine.remove(anna), false);
  assert.throws(() => here.machine.status(anna), { code: "no_such_line" });
  assert.throws(() => here.machine.call(anna, "sip:bob@10.0.0.2"), { code: "no_such_line" });
});

test("what is removed gives back its ports", () => {
  const world = two();
  const { wire, here } = world;
  const alice = here.phone({ user: "alice" });
  world.there.phone({ user: "bob" });
  answered(world, alice, "sip:bob@10.0.0.2");
  here.machine.remove(alice);
  wire.settle();
  const types = here.requests.map(({ type }) => type);
  assert.equal(types.filter((type) => type === "releaseMedia").length, 1);
});

test("sound, digits, marks and a tap", () => {
  const world = two();
  const { wire, here, there } = world;
  const alice = here.phone({ user: "alice" });
  there.phone({ user: "bob" });
  const ringing = here.machine.call(alice, "sip:bob@10.0.0.2");
  assert.throws(() => here.machine.writeAudio(ringing, 8_000, new Int16Array(8)), {
    code: "invalid_state",
    message: /cannot write audio to a call that is dialing/,
  });
  here.machine.cancel(ringing);
  wire.run(500);
  there.events.length = 0;
  const [calling, called] = answered(world, alice, "sip:bob@10.0.0.2");
  assert.equal(here.machine.rate(calling), 8_000);
  assert.equal(there.machine.setTap(called, true), true);
  assert.equal(there.machine.tapRate(called), undefined);
  there.machine.readAudio(called, 8_000, new Int16Array(8_000));

  const samples = tone(1_000, 8_000, 1, 0);
  assert.equal(here.machine.writeAudio(calling, 8_000, samples), 8_000);
  assert.equal(here.machine.mark(calling, "said"), true);
  assert.equal(here.machine.queued(calling), 1);
  wire.run(900);
  const heard = new Int16Array(8_000);
  assert.equal(there.machine.available(called, 8_000), there.machine.readAudio(called, 8_000, heard));
  assert.ok(crossings(heard.subarray(0, 6_000)) > 1_400, "it is a tone of 1 kHz");
  const kept = there.machine.takeTap(called);
  assert.equal(there.machine.tapRate(called), 8_000);
  assert.ok(kept.length / 2 >= 7_000, `${kept.length / 2} samples`);
  assert.ok(kept.every((sample, i) => i % 2 === 1 || sample === 0), "nothing was sent there");
  assert.ok(kept.some((sample, i) => i % 2 === 1 && sample > 5_000), "and it was heard");
  wire.run(200);
  assert.deepEqual({ ...here.take("mark") }, {
    type: "mark", line: alice, call: calling, name: "said", played: true,
  });
  assert.ok(here.machine.played(calling) >= 1);
  const rest = new Int16Array(16_000).fill(1);
  const count = there.machine.readAudioOrSilence(called, 8_000, rest);
  assert.ok(count < rest.length && rest.subarray(count).every((sample) => sample === 0));

  here.machine.sendDtmf(calling, "19");
  assert.throws(() => here.machine.sendDtmf(calling, "x"), { code: "dtmf" });
  wire.run(1_000);
  assert.equal(there.machine.availableDtmf(called), 2);
  assert.equal(there.take("dtmf").digit, "1");
  // With `ended` what is left can still be taken, and not after it.
  const left = () => {
    const { machine } = there;
    return [machine.takeDtmf(called), machine.takeTap(called).length > 0, machine.info(called)?.state];
  };
  let last;
  there.seen = ({ type }) => type === "ended" && (last = left());
  here.machine.hangup(calling);
  wire.settle();
  assert.deepEqual(last, ["19", true, "ended"]);
  assert.deepEqual(left(), ["", false, undefined]);
});

/** How often a sound crosses zero. */
function crossings(samples) {
  return samples.filter((sample, i) => i > 0 && sample >= 0 !== samples[i - 1] >= 0).length;
}

test("messages and requests are answered by number", () => {
  const { wire, here, there } = two();
  const alice = here.phone({ user: "alice" });
  const bob = there.phone({ user: "bob" });
  const bytes = Uint8Array.of(0, 255, 13);
  const sent = here.machine.message(alice, "sip:bob@10.0.0.2", bytes, "application/octet-stream");
  wire.run(100);
  assert.equal(sent, alice * LINE + 1);
  const message = there.take("message");
  assert.deepEqual([message.line, message.body], [bob, bytes]);
  const response = here.take("response");
  assert.deepEqual([response.request, response.code, response.roundTripMs], [sent, 200, 0]);
  const pinged = here.machine.options(alice, "sip:bob@10.0.0.2");
  wire.run(100);
  assert.equal(here.take("response").request, pinged);
});

for (const transport of ["TCP", "WS", "WSS"]) {
  test(`accounts share a connection: ${transport}`, () => {
    const named = { uris: [], dnsNames: ["sip.example.com"], addresses: ["10.0.0.2"] };
    const world = two(named);
    const { wire, here, there } = world;
    const lines = ["alice", "anna"].map((user) => here.phone({ user, transport, keepAlive: "off" }));
    there.phone({ user: "bob", transport });
    for (const line of lines) answered(world, line, "sip:bob@10.0.0.2:5060");
    assert.equal(here.connections.length, 1);
    const { requests } = here;
    assert.deepEqual(
      requests.filter(({ type }) => type === "openFlow").map(({ name, transport }) => [name, transport]),
      [["10.0.0.2", transport]],
    );
    here.close(here.connections[0]);
    wire.run(100);
    assert.equal(here.machine.calls(lines[0]).length, 1, "the call itself goes on");
  });
}

test("a certificate that names somebody else is refused, in words", () => {
  const { wire, here } = two({ uris: [], dnsNames: ["other.example.net"], addresses: [] });
  const alice = here.phone({ user: "alice", transport: "tls" });
  wire.names = { "sip.example.com": ["10.0.0.2"] };
  here.machine.call(alice, "sip:bob@sip.example.com");
  wire.run(1_000);
  const { by, error } = here.take("ended");
  assert.deepEqual([by, error.code], ["error", "untrusted"]);
  assert.match(error.message, /sip\.example\.com cannot be trusted: its certificate is for other\.example\.net, not sip\.example\.com/);
  here.machine.call(alice, "sip:bob@10.0.0.9");
  wire.run(1_000);
  assert.match(here.take("ended").error.message, /10\.0\.0\.9:5061 \(TLS\) cannot be reached: connection refused/);
});

test("what an account needs of its host", () => {
  const { here, there } = two();
  const plain = here.machine.needs(here.machine.add({ user: "alice" }));
  assert.deepEqual(plain, {
    address: "0.0.0.0",
    port: 5060,
    listen: ["UDP", "TCP"],
    tls: { insecure: false },
    dnsServers: [],
    websocketPath: "/",
  });
  let asked = 0;
  const secure = there.machine.add({
    user: "bob",
    server: "sip.example.com",
    port: 5081,
    bind: "[::1]:0",
    transport: "TLS",
    caFile: "ca.pem",
    certFile: "bob.pem",
    keyFile: "bob.key",
    keyPassword: () => `secret ${(asked += 1)}`,
    clientCaFile: "clients.pem",
    tlsInsecure: true,
    websocketPath: "/sip?a=b",
    dnsServers: ["192.0.2.53"],
    credentials: [{ username: "b", password: "p", realm: "r" }],
    nextHop: "10.0.0.2:5060",
    allowTcp: false,
  });
  for (const password of ["secret 1", "secret 2"]) {
    assert.deepEqual(there.machine.needs(secure), {
      address: "::1",
      port: 0,
      listen: ["TLS"],
      tls: {
        caFile: "ca.pem",
        certFile: "bob.pem",
        keyFile: "bob.key",
        keyPassword: password,
        clientCaFile: "clients.pem",
        insecure: true,
      },
      dnsServers: ["192.0.2.53:53"],
      websocketPath: "/sip?a=b",
    });
  }
  const unusable = [
    { transport: "sctp" },
    { port: 70_000 },
    { keyFile: "a.key" },
    { keyPassword: 1 },
    { credentials: [{ username: "a" }] },
    { nextHop: "somewhere" },
    { colour: "red" },
  ];
  for (const parameters of unusable) {
    assert.throws(() => here.machine.add({ user: "a", ...parameters }), { code: "invalid_value" });
  }
  const secret = () => here.machine.add({ user: "a", keyPassword: 4711 });
  assert.throws(secret, (error) => !error.message.includes("4711"));
  const throws = here.machine.add({
    user: "a",
    keyPassword: () => {
      throw new RangeError("no key");
    },
  });
  assert.throws(() => here.machine.needs(throws), RangeError);
});

test("a registration is known by its binding, and its credentials are found", () => {
  const { wire, here, there } = two();
  const seen = [];
  there.phone({ user: "registrar" }, {
    methods: ["REGISTER"],
    requestIn(request) {
      seen.push(request.get("Authorization"));
      if (!request.get("Authorization")) {
        const challenge = 'Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"';
        return { status: 401, headers: { "WWW-Authenticate": challenge } };
      }
      const contact = `${request.get("m")};expires=60`;
      return { status: 200, headers: [["Contact", contact], ["Path", "<sip:edge.example.com;lr>"]] };
    },
  });
  const credentials = [{ username: "login", password: "p", realm: "r" }];
  const alice = here.phone({ user: "alice", server: "10.0.0.2", credentials, port: 5060 });
  assert.equal(here.machine.binding(here.phone({ user: "anna" })), undefined);
  wire.run(1_000);
  assert.match(seen[1], /username="login"/);
  assert.equal(here.machine.status(alice), "registered");
  const { contact, path, outbound } = here.machine.binding(alice);
  assert.match(contact, /^sip:alice@10\.0\.0\.1/);
  assert.deepEqual([path, outbound], [["<sip:edge.example.com;lr>"], false]);
  assert.equal(here.take("registered").expires, 60);
});

test("a handler sees, changes, answers and drops", () => {
  const { wire, here, there } = two();
  const alice = here.phone({ user: "alice" }, {
    requestOut(request, to) {
      assert.deepEqual({ ...to }, { address: "10.0.0.2", port: 5060 });
      if (request.method === "INVITE") request.set("X-Account", "7001");
    },
  });
  let kept;
  there.phone({ user: "bob" }, {
    methods: ["PING"],
    requestIn(request, from) {
      kept = request;
      assert.equal(from.address, "10.0.0.1");
      if (request.method === "PING") return { status: 299, reason: "Pong", body: "hi" };
      if (request.method === "OPTIONS") return "drop";
      assert.equal(request.get("x-account"), "7001");
      assert.deepEqual(request.getAll("f"), request.getAll("From"));
      assert.match(request.uri, /^sip:bob@/);
      assert.equal(request.status, undefined);
      assert.ok(request.headers.length > 8 && request.body.length > 100);
      assert.throws(() => request.set("Via", "nonsense"), { code: "invalid_value" });
      request.remove("X-Account");
      request.add("X-Seen", "1");
      return "pass";
    },
    responseOut(response) {
      if (response.status === 180) response.setBody("text/plain", `${response.reason}!`);
    },
  });
  const ping = here.machine.request(alice, "PING", "sip:bob@10.0.0.2");
  wire.run(100);
  const pong = here.take("response");
  assert.deepEqual(pong.parts.map(({ contentType, body }) => [contentType, text(body)]), [["text/plain", "hi"]]);
  assert.deepEqual([pong.request, pong.code, pong.reason, text(pong.body)], [ping, 299, "Pong", "hi"]);
  here.machine.call(alice, "sip:bob@10.0.0.2");
  wire.run(100);
  const names = there.machine.info(there.take("incoming").call).headers.map(([name]) => name);
  assert.ok(names.includes("X-Seen") && !names.includes("X-Account"), names.join());
  assert.ok(there.sent.some(({ bytes }) => text(bytes).endsWith("\r\n\r\nRinging!")));
  assert.throws(() => kept.set("X", "1"), { code: "invalid_state" });
  assert.equal(kept.get("CSeq"), "1 INVITE", "and it can still be read");

  here.machine.options(alice, "sip:bob@10.0.0.2");
  wire.run(40_000);
  assert.equal(here.take("response").code, undefined, "nobody has answered");
  assert.deepEqual([here.take("handlerFailed"), there.take("handlerFailed")], [undefined, undefined]);
});

test("a handler that fails stops nothing", () => {
  const { wire, here, there } = two();
  const alice = here.phone({ user: "alice" });
  let fail;
  let made = 0;
  const bob = there.phone({ user: "bob" }, () => {
    made += 1;
    return { requestIn: (request) => fail(request) };
  });
  assert.equal(made, 1);
  const failures = [
    [(request) => { request.set("X-Lost", "1"); throw new RangeError("no"); }, RangeError],
    [() => "maybe", { code: "invalid_value", message: /maybe/ }],
    [() => ({ reason: "none" }), { code: "invalid_value", message: /no status/ }],
    [() => ({ status: 200, colour: "red" }), { code: "invalid_value", message: /colour/ }],
    [async () => "pass", { code: "invalid_value", message: /a promise.*at once/ }],
    [() => there.machine.calls(bob), /recursive use/],
  ];
  for (const [failing, expected] of failures) {
    fail = failing;
    const request = here.machine.options(alice, "sip:bob@10.0.0.2");
    wire.run(100);
    const { line, method, error } = there.take("handlerFailed");
    assert.deepEqual([line, method], [bob, "requestIn"]);
    assert.throws(() => { throw error; }, expected);
    const response = here.take("response");
    assert.deepEqual([response.request, response.code], [request, 200], "the phone has answered");
  }
  const carol = there.phone({ user: "carol" }, () => { throw new RangeError("no handler"); });
  const { line, method, error } = there.take("handlerFailed");
  assert.deepEqual([line, method, error.message], [carol, "sipHandler", "no handler"]);
  assert.equal(there.machine.status(carol), "registered");
  assert.throws(() => there.machine.add({ user: "d" }, "loud"), { code: "invalid_value" });

  // The failures of an account that is gone leave room for those of others.
  fail = () => { throw new RangeError("once more"); };
  for (let count = 0; count < 200; count += 1) here.machine.options(alice, "sip:bob@10.0.0.2");
  while (here.work() || wire.under.length > 0) wire.under.splice(0).forEach((arrive) => arrive());
  there.machine.remove(bob);
  there.phone({ user: "erin" }, () => { throw new RangeError("no handler"); });
  assert.equal(there.take("handlerFailed").error.message, "no handler");
});

test("a capture shows both ends, by transport and way", () => {
  const world = two();
  const { wire, here, there } = world;
  assert.equal(here.machine.ladder(), "");
  for (const { machine } of [here, there]) machine.capture();
  there.machine.bound("UDP", "10.0.0.2", 5060);
  const [alice, anna] = [{ user: "alice" }, { user: "anna", transport: "tcp" }].map((parameters) => {
    return here.phone(parameters);
  });
  there.phone({ user: "bob" });
  here.machine.nameAddress("10.0.0.1", 5060, "Alice & Anna");
  const [calling] = answered(world, alice, "sip:bob@10.0.0.2");
  here.machine.hangup(calling);
  wire.run(1_000);
  answered(world, anna, "sip:bob@10.0.0.2");
  const ladder = here.machine.ladder();
  for (const part of ["Alice & Anna", "10.0.0.2:5060", "INVITE sip:bob@10.0.0.2", "200 OK", "BYE", "RTP"]) {
    assert.ok(ladder.includes(part), `${part} is not in\n${ladder}`);
  }
  assert.ok(!ladder.includes("0.0.0.0"), ladder);
  assert.ok(!there.machine.ladder().includes("0.0.0.0:0"), there.machine.ladder());
  assert.match(here.machine.svg(), /^<svg[^]*Alice &amp; Anna/);
  const pcap = here.machine.pcap();
  assert.equal(new DataView(pcap.buffer, pcap.byteOffset).getUint32(0, true), 0xa1b2_c3d4);
  assert.equal(here.machine.missed(), 0);
  here.machine.capture(1_000);
  wire.run(1_000);
  assert.ok(here.machine.missed() > 0);
});

test("the network changes under all accounts at once", () => {
  const world = two();
  const { wire, here } = world;
  const lines = ["alice", "anna"].map((user) => here.phone({ user }));
  world.there.phone({ user: "bob" });
  for (const line of lines) answered(world, line, "sip:bob@10.0.0.2");
  here.machine.networkChanged();
  wire.run(100);
  assert.equal(here.requests.filter(({ type }) => type === "rebind").length, 1);
  assert.ok(lines.every((line) => here.machine.calls(line).length === 1));
});

test("odd input is refused or does nothing", () => {
  const { wire, here } = two();
  const alice = here.phone({ user: "alice" });
  const { machine } = here;
  assert.throws(() => machine.handleDatagram(0, 0, "localhost", 5060, new Uint8Array(4)), {
    code: "invalid_value",
  });
  assert.throws(() => machine.handleStream(0, 7, "10.0.0.2", 5060, new Uint8Array(4)), /no transport/);
  machine.handleStream(0, 801, "10.0.0.2", 5060, new Uint8Array(4));
  machine.flowFailed(0, 99, "untrusted");
  machine.resolved(0, NaN, "srv", [{}, null, 5]);
  machine.mediaUnavailable(0, -1);
  for (const call of [NaN, -1, Infinity, 0, 2 ** 60, alice * LINE + 9]) {
    assert.equal(machine.state(call), undefined);
    assert.equal(machine.available(call, 8_000), 0);
    assert.equal(machine.setTap(call, true), false);
    assert.throws(() => machine.answer(call), { code: "ended" });
    machine.end(call);
  }
  assert.throws(() => machine.acceptReferral(3), { code: "no_such_line" });
  assert.throws(() => machine.acceptReferral(alice * LINE + 3), { code: "no_such_referral" });
  assert.throws(() => machine.add("alice"), { code: "invalid_value" });
  wire.run(100);
  assert.equal(machine.status(alice), "registered");
});
