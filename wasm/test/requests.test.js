// Requests of any method, and their answers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, connected, OPTIONS, started } from "./phones.js";

test("a request of any method is answered", OPTIONS, async (t) => {
  const { alice, bob, call } = await connected(t);
  const answer = await alice.request("NOTIFY", at(bob), { headers: { Event: "keep-alive" } });
  assert.equal(answer.code, 200);
  assert.ok(answer.headers.some(([name]) => name === "CSeq"));
  const own = { body: new Uint8Array([0, 255]), contentType: "application/x" };
  assert.equal((await alice.request("JUMP", at(bob), own)).code, 501);
  await assert.rejects(alice.request("INVITE", at(bob)), { code: "invalid_value" });
  assert.equal((await call.request("INFO")).code, 200);
  await call.hangup();
  await assert.rejects(call.request("INFO"), { code: "ended" });
});

test("messages go both ways as bytes, and a refusal says why", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const came = [];
  bob.on("message", (event) => came.push(event));
  const { code, reason, headers } = await alice.message(at(bob), "Grüße");
  assert.deepEqual([code, reason], [200, "OK"]);
  assert.ok(headers.some(([name]) => name === "CSeq"), JSON.stringify(headers));
  await alice.message(at(bob), new Uint8Array([123, 255]), { contentType: "application/json" });
  assert.deepEqual(came.map(({ body, contentType }) => [Buffer.from(body).toString("latin1"), contentType]), [
    [Buffer.from("Grüße").toString("latin1"), "text/plain"],
    ["{\xff", "application/json"],
  ]);
  assert.match(came[0].from, /^sip:alice@/);
  assert.equal("line" in came[0], false);
  await assert.rejects(alice.message(at(bob), "x".repeat(1_200)), { code: "too_large" });
  await assert.rejects(alice.message(at(bob), "x", { contentType: "no type" }), { code: "invalid_value" });
  const strict = await started(t, "carol", { acceptAnyUser: false });
  await assert.rejects(alice.message(at(strict, "dave"), "x"), { code: "rejected", status: 404 });
});

test("a ping says how long it took, or that nobody is there", OPTIONS, async (t) => {
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob")];
  const pong = await alice.options(at(bob));
  assert.equal(pong.code, 200);
  assert.ok(pong.roundTripMs > 0 && pong.roundTripMs < 5_000, `${pong.roundTripMs} ms`);
  assert.ok(pong.headers.some(([name]) => name === "Allow"), JSON.stringify(pong.headers));
  await assert.rejects(alice.options("sip:127.0.0.1:9"), { code: "unreachable" });
});

test("a request that waits when the phone stops is not running any more", OPTIONS, async (t) => {
  const [alice, silent] = [await started(t, "alice"), await started(t, "silent", { sipHandler: { requestIn: () => "drop" } })];
  const asking = alice.options(at(silent));
  const stopped = alice.stop();
  await assert.rejects(asking, ({ code }) => code === "not_running" || code === "timeout");
  await stopped;
});
