// A phone of this package among the native programs: it registers at `offhook exchange` and calls
// `offhook answer`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Phone } from "../node/phone.js";
import { exchange, missing, offhook } from "./offhook.js";
import { assertHears } from "./sound.js";

const OPTIONS = { timeout: 180_000, skip: missing };

const alice = (server) => ({
  server,
  user: "alice",
  password: "a",
  bind: "127.0.0.1:0",
  rtpPorts: [42_000, 42_098],
});

test("a call with sound and digits through the exchange", OPTIONS, async (t) => {
  const server = (await exchange(t)).udp;
  const bob = ["--server", server, "--user", "bob", "--password", "b", "--bind", "127.0.0.1:0"];
  const answering = offhook(t, "answer", ...bob, "--rtp-ports", "43000-43098", "--echo");
  await answering.event("registered");

  const phone = new Phone(alice(server));
  t.after(() => phone.stop());
  await phone.start();
  assert.equal(phone.status, "registered");
  const call = phone.call("bob");
  await call.answered();
  // The far end sends back what it hears.
  await assertHears(call, call, 1_000);
  call.sendDtmf("195");
  const digits = [];
  while (digits.length < 3) digits.push((await answering.event("dtmf")).digit);
  assert.equal(digits.join(""), "195");
  await call.hangup();
  assert.equal((await answering.event("ended")).by, "remote");

  const { stats } = await call.ended();
  assert.equal(stats.lost, 0);
});

test("a wrong password is refused", OPTIONS, async (t) => {
  const given = { ...alice((await exchange(t)).udp), password: "wrong", registrationAttempts: 1 };
  const phone = new Phone(given);
  await assert.rejects(phone.start(), { code: "registration_failed" });
  assert.equal(phone.status, "failed");
});
