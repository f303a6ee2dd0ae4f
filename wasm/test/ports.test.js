// Pairs of media ports: which are lent, which rest, and what comes to them.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { MediaPorts } from "../dist/node/ports.js";
import { Serials } from "../dist/node/serials.js";

const OPTIONS = { timeout: 30_000 };
const HERE = "127.0.0.1";

function media(t) {
  const heard = [];
  const listener = (number, rtcp, _, port, bytes) => heard.push([number, rtcp, port, bytes.toString()]);
  const ports = new MediaPorts(new Serials(), listener);
  t.after(() => ports.close());
  return { ports, heard };
}

/** Whether nobody has a port. */
async function isFree(port) {
  const socket = createSocket("udp4").bind({ port, address: HERE, exclusive: true });
  const free = await once(socket, "listening").then(() => true, () => false);
  socket.close();
  return free;
}

async function sender(t) {
  const socket = createSocket("udp4").bind(0, HERE);
  await once(socket, "listening");
  t.after(() => socket.close());
  return socket;
}

async function send(socket, text, port) {
  await new Promise((sent) => socket.send(text, port, HERE, sent));
}

test("every pair is lent once, and each is an even port and the next", OPTIONS, async (t) => {
  const { ports, heard } = media(t);
  const asked = Array.from({ length: 4 }, () => ports.lend(HERE, 46_001, 46_007));
  const [pairs, none] = [(await Promise.all(asked)).filter(Boolean), await ports.lend(HERE, 46_001, 46_007)];
  assert.deepEqual(pairs.map(({ port }) => port).toSorted(), [46_002, 46_004, 46_006]);
  assert.equal(none, undefined);
  assert.equal(new Set(pairs.map(({ media }) => media)).size, 3);
  const peer = await sender(t);
  const { port } = peer.address();
  for (const { media, port: to } of pairs) {
    for (const rtcp of [false, true]) {
      await send(peer, "x", to + Number(rtcp));
      while (heard.length === 0) await setTimeout(1);
      assert.deepEqual(heard.pop(), [media, rtcp, port, "x"]);
      const [lane, answer] = [rtcp ? "rtcp" : "rtp", once(peer, "message")];
      ports.send({ lane, socket: media, address: HERE, port, bytes: Buffer.from("y") });
      assert.equal((await answer)[1].port, to + Number(rtcp));
    }
  }
});

test("a range without a pair has none", OPTIONS, async (t) => {
  const { ports } = media(t);
  for (const [low, high] of [[46_101, 46_101], [46_101, 46_102], [65_535, 65_535], [50, 40]]) {
    assert.equal(await ports.lend(HERE, low, high), undefined);
  }
});

test("a pair is lent again once it has rested in silence", OPTIONS, async (t) => {
  const { ports, heard } = media(t);
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const lend = () => ports.lend(HERE, 46_200, 46_299);
  const [first, second] = [await lend(), await lend()];
  ports.release(first.media);
  ports.release(second.media);
  const third = await lend();
  assert.ok(![first.port, second.port].includes(third.port), "they have not rested yet");
  now += MediaPorts.REST_MS;
  const peer = await sender(t);
  await send(peer, "still here", first.port);
  // Loopback has delivered it; it is read before what was sent later.
  await send(peer, "later", third.port);
  while (heard.length === 0) await setTimeout(1);
  const again = await lend();
  assert.equal(again.port, second.port, "somebody still sends to the other");
  assert.notEqual(again.media, second.media, "a number is never used again");
  assert.ok(await isFree(first.port), "which was closed");
  assert.deepEqual(heard, [[third.media, false, peer.address().port, "later"]]);
});

test("what nobody wants again is closed", OPTIONS, async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { ports } = media(t);
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const { media: number, port } = await ports.lend(HERE, 46_300, 46_399);
  ports.release(number);
  now += MediaPorts.KEPT_MS - 1;
  t.mock.timers.tick(MediaPorts.KEPT_MS - 1);
  assert.ok(!(await isFree(port)));
  now += 1;
  t.mock.timers.tick(1);
  assert.ok(await isFree(port));
});

test("the port that is wanted may be resting", OPTIONS, async (t) => {
  const { ports } = media(t);
  const first = await ports.lend(HERE, 46_400, 46_401);
  ports.release(first.media);
  const again = await ports.lend(HERE, 46_400, 46_401);
  assert.equal(again.port, first.port);
  ports.close();
  assert.ok(await isFree(first.port));
  assert.equal(await ports.lend(HERE, 46_400, 46_401), undefined, "it is closed");
  assert.ok(await isFree(first.port));
});
