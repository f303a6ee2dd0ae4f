// The host in Node without a telephone: datagrams, connections, what is refused, full or gone, and that
// nothing is left of it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { Connection, StreamFraming } from "../dist/node/connection.js";
import { NodeHost } from "../dist/node/host.js";
import { ConnectionCounter, networkOf } from "../dist/node/listener.js";
import { bindUdp } from "../dist/node/udp.js";
import { opened, sip } from "./inlet.js";

const OPTIONS = { timeout: 30_000 };
const HERE = "127.0.0.1";

/** A datagram socket of somebody else. */
async function stranger(t, address = HERE, port = 0) {
  const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4" });
  socket.bind({ port, address, exclusive: true });
  await once(socket, "listening");
  t.after(() => new Promise((closed) => socket.close(closed)));
  return socket;
}

/** A port at which nobody listens. */
async function nobody() {
  const socket = createSocket("udp4").bind({ port: 0, address: HERE, exclusive: true });
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise((closed) => socket.close(closed));
  return port;
}

async function server(t, welcome) {
  const listening = createServer(welcome);
  listening.listen(0, HERE);
  await once(listening, "listening");
  t.after(() => listening.close());
  return { address: HERE, port: listening.address().port };
}

/** Opens a flow; its number and our address. */
async function flow(host, inlet, request) {
  host.openFlow({ id: 1, address: HERE, name: HERE, ...request });
  return (await inlet.next("flowOpened")).slice(1, 3);
}

test("datagrams go both ways, and every address is bound at one port", OPTIONS, async (t) => {
  const { host, inlet, bound, at } = await opened(t, NodeHost, { address: "0.0.0.0" });
  const hasIpv6 = bound.listening.some(({ address }) => address === "::");
  assert.equal(bound.listening.length, hasIpv6 ? 4 : 2);
  assert.equal(new Set(bound.listening.map(({ port }) => port)).size, 1);
  for (const address of hasIpv6 ? [HERE, "::1"] : [HERE]) {
    const peer = await stranger(t, address);
    const to = { address, port: peer.address().port };
    const [number, local] = await flow(host, inlet, { transport: "UDP", ...to });
    assert.deepEqual(local, { address, port: at("UDP").port }, "the address of the route");
    const heard = once(peer, "message");
    host.send(sip(number, to, "OPTIONS"));
    const [bytes, from] = await heard;
    assert.deepEqual([bytes.toString(), from.port], ["OPTIONS", local.port]);
    peer.send("200 OK", local.port, address);
    assert.deepEqual(await inlet.next("datagram"), [number, address, to.port, "200 OK"]);
  }
  // A datagram that no route carries, and a connection from an address that is not of its family.
  const { host: one, inlet: its } = await opened(t, NodeHost);
  for (const transport of ["UDP", "TCP"]) {
    one.openFlow({ id: 9, transport, address: "::1", port: 9, name: "::1" });
    const problem = transport === "UDP" ? "there is no route" : "no address of ours leads there";
    assert.deepEqual(await its.next("flowFailed"), [9, "unreachable", problem]);
  }
});

test("a port that others hold is the error of opening, with the port's sentence", OPTIONS, async (t) => {
  const other = await stranger(t);
  const { port } = other.address();
  const before = descriptors();
  await assert.rejects(opened(t, NodeHost, { port }), {
    code: "bind",
    message: `cannot listen on UDP 127.0.0.1:${port}: the port is in use by another program; stop it, or bind another port (0 picks a free one)`,
  });
  await assert.rejects(opened(t, NodeHost, { address: "192.0.2.1" }), {
    code: "bind",
    message: "cannot listen on UDP 192.0.2.1:0: this machine does not have that address",
  });
  const taken = await server(t, (socket) => socket.destroy());
  await assert.rejects(opened(t, NodeHost, { port: taken.port }), { code: "bind", message: /listen on TCP/ });
  await settled(() => assert.equal(descriptors(), before + 1, "nothing is left open"));
});

test("what the network refuses is said when it is sent again", OPTIONS, async (t) => {
  const { host, inlet } = await opened(t, NodeHost);
  const to = { address: HERE, port: await nobody() };
  const [number, local] = await flow(host, inlet, { transport: "UDP", ...to });
  host.send(sip(number, to, "INVITE"));
  host.send(sip(number, to, "INVITE"));
  assert.deepEqual(await inlet.next("sendFailed"), [number, HERE, to.port]);

  // Whoever answers is not knocked at; whoever is silent hears an empty line, once.
  const peer = await stranger(t);
  const heard = [];
  peer.on("message", (bytes) => heard.push(bytes.toString()));
  const hears = async (count) => {
    while (heard.length < count) await once(peer, "message");
  };
  const there = { address: HERE, port: peer.address().port };
  for (const text of ["1", "2"]) {
    host.send(sip(number, there, text));
    await hears(Number(text));
    peer.send("100 Trying", local.port, HERE);
    await inlet.next("datagram");
  }
  for (const text of ["3", "4", "5"]) host.send(sip(number, there, text));
  await hears(6);
  assert.deepEqual(heard.toSorted(), ["\r\n", "1", "2", "3", "4", "5"]);
  assert.deepEqual(inlet.said, []);
});

test("a system that has no room keeps datagrams within a bound, and waits with none of sound", OPTIONS, async (t) => {
  const { host, inlet } = await opened(t, NodeHost);
  const peer = await stranger(t);
  const to = { address: HERE, port: peer.address().port };
  const [number] = await flow(host, inlet, { transport: "UDP", ...to });
  host.bindMedia({ id: 2, toward: HERE, low: 45_000, high: 45_098 });
  const [, media] = await inlet.next("mediaBound");
  const sent = [];
  t.mock.method(Object.getPrototypeOf(peer), "send", (bytes) => sent.push(bytes.length));
  let waiting = 0;
  t.mock.method(Object.getPrototypeOf(peer), "getSendQueueSize", () => waiting);
  t.mock.method(Object.getPrototypeOf(peer), "getSendQueueCount", () => waiting);
  const both = () => {
    host.send(sip(number, to, "sip"));
    host.send({ ...sip(media, to, "sound"), lane: "rtp" });
  };
  both();
  waiting = 4 * 1024 * 1024;
  both();
  waiting += 1;
  both();
  assert.deepEqual(sent, [3, 5, 3]);
});

test("connections are opened, accepted and closed, and what was sent leaves first", OPTIONS, async (t) => {
  const [alice, bob] = [await opened(t, NodeHost), await opened(t, NodeHost)];
  const { port } = bob.at("TCP");
  const [number, local] = await flow(alice.host, alice.inlet, { transport: "TCP", port });
  assert.equal(number % 8, 1);
  assert.deepEqual(local, { address: HERE, port: alice.at("TCP").port }, "where we listen");
  const [theirs, from, ours] = await bob.inlet.next("flowAccepted");
  assert.deepEqual([theirs % 8, from.address, ours], [1, HERE, { address: HERE, port }]);
  const long = "x".repeat(300_000);
  alice.host.send(sip(number, { address: HERE, port }, long));
  alice.host.closeFlow(number);
  assert.deepEqual(await bob.inlet.next("flowClosed"), [theirs]);
  assert.equal(bob.inlet.text("stream").length, long.length);
  alice.host.send(sip(number, { address: HERE, port }, "too late"));
  assert.deepEqual(await alice.inlet.next("sendFailed"), [number, HERE, port]);
  assert.deepEqual(alice.inlet.said, [], "who has closed is not told");

  const [second] = await flow(alice.host, alice.inlet, { transport: "TCP", port });
  await bob.host.close();
  assert.deepEqual(await alice.inlet.next("flowClosed"), [second]);
  alice.host.openFlow({ id: 3, transport: "TCP", address: HERE, port, name: HERE });
  assert.deepEqual(await alice.inlet.next("flowFailed"), [3, "unreachable", "connection refused"]);
});

test("a peer that reads nothing is closed when too much waits for it", OPTIONS, async (t) => {
  const reading = await server(t, (socket) => socket.on("error", () => {}).pause());
  const { host, inlet } = await opened(t, NodeHost);
  const [number] = await flow(host, inlet, { transport: "TCP", ...reading });
  const chunk = "x".repeat(64 * 1024);
  for (let sent = 0; inlet.said.length === 0; sent += 1) {
    assert.ok(sent < 1_000, "it does not end");
    host.send(sip(number, reading, chunk));
    await new Promise(setImmediate);
  }
  assert.deepEqual(inlet.said, [["flowClosed", number]]);
});

test("a peer that takes nothing for half a minute, or says nothing to pings, is given up", OPTIONS, async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const peers = [];
  const reading = await server(t, (socket) => peers.push(socket.on("error", () => {}).pause()));
  const carried = async (framing) => {
    const socket = connect(reading);
    await once(socket, "connect");
    const lost = deferred();
    const connection = new Connection(socket, framing, { came() {}, lost: lost.resolve });
    connection.read();
    return { connection, lost: lost.promise, socket };
  };
  const stream = await carried(new StreamFraming());
  while (stream.socket.writableLength < 100_000) {
    stream.connection.send(Buffer.alloc(100_000));
    await new Promise(setImmediate);
  }
  for (let tick = 0; tick < 4; tick += 1) t.mock.timers.tick(Connection.TICK_MS);
  await stream.lost;

  const pings = [];
  class Pinged extends StreamFraming {
    ping() {
      pings.push("ping");
      return Buffer.from("ping");
    }
  }
  const pinged = await carried(new Pinged());
  for (let tick = 0; tick < 6; tick += 1) t.mock.timers.tick(Connection.TICK_MS);
  assert.ok(!pinged.socket.destroyed, "it has been silent for a minute");
  for (let tick = 0; tick < 3; tick += 1) t.mock.timers.tick(Connection.TICK_MS);
  await pinged.lost;
  assert.ok(pings.length >= 2, `${pings.length} pings`);
  peers.forEach((socket) => socket.destroy());
});

function deferred() {
  let resolve;
  const promise = new Promise((settle) => (resolve = settle));
  return { promise, resolve };
}

test("peers hold so many connections and no more", OPTIONS, async (t) => {
  const counter = new ConnectionCounter(2, 3);
  assert.deepEqual(["192.0.2.1", "192.0.2.1", "192.0.2.1"].map((peer) => counter.admit(peer)), [true, true, false]);
  assert.equal(counter.admit("2001:db8::1"), true);
  assert.equal(counter.admit("192.0.2.2"), false, "three in all");
  counter.release("192.0.2.1");
  assert.equal(counter.admit("2001:db8:0:0:1::2"), true);
  assert.equal(counter.admit("192.0.2.1"), false);
  for (const [one, other] of [
    ["2001:db8::1", "2001:db8:0:0:ffff::"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["fe80::1%eth0", "fe80:0000::2"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4::"],
    ["::1", "::192.0.2.1"],
  ]) {
    assert.equal(networkOf(one), networkOf(other));
  }
  assert.notEqual(networkOf("2001:db8:0:1::1"), networkOf("2001:db8::1"));

  const { host, inlet, at } = await opened(t, NodeHost);
  const { port } = at("TCP");
  const sockets = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  const knock = () => sockets.push(connect(port, HERE).on("error", () => {}).resume());
  for (let count = 0; count < 32; count += 1) knock();
  const flows = [];
  while (flows.length < 32) flows.push((await inlet.next("flowAccepted"))[0]);
  knock();
  await once(sockets.at(-1), "close");
  host.closeFlow(flows[0]);
  const accepted = inlet.next("flowAccepted");
  // The host may see its end a moment after we do.
  for (let free = false; !free; ) {
    knock();
    const closed = once(sockets.at(-1), "close").then(() => false);
    free = await Promise.race([accepted.then(() => true), closed]);
  }
});

test("after a change of network the flow of datagrams is the same, and connections are over", OPTIONS, async (t) => {
  const [alice, bob] = [await opened(t, NodeHost), await opened(t, NodeHost)];
  const to = { address: HERE, port: bob.at("UDP").port };
  const [datagrams, local] = await flow(alice.host, alice.inlet, { transport: "UDP", ...to });
  const [stream] = await flow(alice.host, alice.inlet, { transport: "TCP", ...to });
  alice.host.bindMedia({ id: 4, toward: HERE, low: 45_100, high: 45_198 });
  const [, media, , rtp] = await alice.inlet.next("mediaBound");
  alice.host.rebind();
  alice.host.rebind();
  assert.deepEqual(await alice.inlet.next("flowClosed"), [stream]);
  assert.deepEqual(await flow(alice.host, alice.inlet, { transport: "UDP", ...to }), [datagrams, local]);
  alice.host.send(sip(datagrams, to, "REGISTER"));
  await bob.inlet.next("datagram", (_, __, port, text) => port === local.port && text === "REGISTER");
  // It still listens, and media is where it was.
  await flow(bob.host, bob.inlet, { transport: "TCP", port: alice.at("TCP").port });
  const peer = await stranger(t);
  peer.send("sound", rtp, HERE);
  assert.deepEqual(await alice.inlet.next("media"), [media, false, HERE, peer.address().port, "sound"]);
});

test("nothing is left when it is closed, and the process may end", OPTIONS, async (t) => {
  const before = descriptors();
  const [alice, bob] = [await opened(t, NodeHost), await opened(t, NodeHost)];
  const { port } = bob.at("TCP");
  const [number] = await flow(alice.host, alice.inlet, { transport: "TCP", port });
  alice.host.send(sip(number, { address: HERE, port }, "last words"));
  const ports = { toward: HERE, low: 45_200, high: 45_298 };
  for (let id = 10; id < 20; id += 1) alice.host.bindMedia({ id, ...ports });
  for (let id = 10; id < 20; id += 1) alice.host.releaseMedia((await alice.inlet.next("mediaBound"))[1]);
  // What is under way is given up.
  alice.host.bindMedia({ id: 20, ...ports });
  alice.host.openFlow({ id: 21, transport: "TCP", address: HERE, port, name: HERE });
  alice.host.resolve({ id: 22, kind: "addresses", name: "nobody.invalid" });
  alice.host.rebind();
  await alice.host.close();
  await bob.inlet.next("flowClosed");
  assert.equal(bob.inlet.text("stream"), "last words");
  await bob.host.close();
  await settled(() => assert.equal(descriptors(), before));

  const script = `
    import { NodeHost } from ${JSON.stringify(new URL("../dist/node/host.js", import.meta.url))};
    const inlet = new Proxy({}, { get: () => () => {} });
    const host = new NodeHost();
    const tls = { insecure: false };
    const needs = { address: "127.0.0.1", port: 0, listen: ["UDP", "TCP"], tls, dnsServers: [], websocketPath: "/" };
    await host.open(needs, inlet);
    host.bindMedia({ id: 1, toward: "127.0.0.1", low: 45300, high: 45398 });
    host.openFlow({ id: 2, transport: "UDP", address: "127.0.0.1", port: 9, name: "127.0.0.1" });
    await new Promise(setImmediate);
    await host.close();
    console.log("closed");`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [said] = await once(child.stdout, "data");
  assert.equal(said.toString().trim(), "closed");
  const end = performance.now();
  assert.deepEqual(await once(child, "exit"), [0, null]);
  assert.ok(performance.now() - end < 5_000, "nothing kept it");
});

test("a socket is bound at once or refused, and refused costs no descriptor", OPTIONS, async (t) => {
  const other = await stranger(t);
  const before = descriptors();
  await assert.rejects(bindUdp(HERE, other.address().port), { code: "EADDRINUSE" });
  assert.equal(descriptors(), before);
});

/** How many descriptors this process has; always the same where the system does not tell. */
function descriptors() {
  return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
}

/** Waits until a check holds: sockets close a moment later. */
async function settled(check) {
  const end = performance.now() + 10_000;
  for (;;) {
    try {
      return check();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise(setImmediate);
    }
  }
}
