// Transfers: asked for, accepted and refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, connected, nextCall, OPTIONS, started } from "./phones.js";

/** Alice and Bob in a call, and Carol whom Alice transfers Bob to. */
async function three(t) {
  const { bob, call, answering } = await connected(t, { there: { acceptTransfer: true } });
  const carol = await started(t, "carol");
  return { bob, call, answering, ringing: nextCall(carol), carol: at(carol, "carol") };
}

test("a transfer is followed to its end", OPTIONS, async (t) => {
  const { bob, call, answering, ringing, carol } = await three(t);
  const told = [];
  call.on("transfer", ({ outcome, last }) => told.push([outcome, last]));
  const outcome = call.transfer(carol, { mode: "notified" });
  const { referral } = await answering.once("referred");
  assert.equal(referral.call, answering);
  assert.equal(referral.to, carol);
  assert.match(referral.by, /^sip:alice@/);
  const onward = referral.accept();
  assert.ok(bob.calls.includes(onward));
  await (await ringing).answer();
  await onward.answered();
  const { transferred, code } = await outcome;
  assert.deepEqual({ transferred, code }, { transferred: true, code: 200 });
  assert.deepEqual(told, [["accepted", false], ["succeeded", true]]);
  assert.equal((await call.ended()).by, "local");
  await answering.ended();
  assert.equal(onward.state, "answered");
  assert.throws(() => referral.reject(), { code: "no_such_referral" });
});

test("a transfer that fails leaves the call as it was", OPTIONS, async (t) => {
  const { bob, call, ringing, carol } = await three(t);
  const failing = call.transfer(carol, { mode: "notified" });
  await assert.rejects(call.transfer(carol), { code: "transfer_pending" });
  // Nobody listens: the referral waits for who asks.
  for await (const referral of bob.referrals()) {
    referral.accept();
    break;
  }
  await (await ringing).deny(486);
  const { transferred, code } = await failing;
  assert.deepEqual({ transferred, code }, { transferred: false, code: 486 });
  await assert.rejects(call.transfer("sip:nobody at all"), { code: "invalid_value" });
  await assert.rejects(call.transfer(carol, { mode: "slowly" }), { code: "invalid_value" });
  assert.equal(call.state, "answered");
});

test("a referral may be refused", OPTIONS, async (t) => {
  const { bob, call, carol } = await three(t);
  bob.on("referred", ({ referral }) => referral.reject());
  assert.deepEqual(await call.transfer(carol), { transferred: false, code: 603, reason: "Decline" });
});
