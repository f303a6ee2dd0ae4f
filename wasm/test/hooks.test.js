// Classes of calls with hooks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Call, Phone } from "../dist/node.js";
import { at, nextCall, OPTIONS, started } from "./phones.js";

/** A class whose hooks write down that they ran. */
function noting(hooks = {}) {
  const notes = [];
  class Noted extends Call {}
  for (const name of ["ringing", "onProgress", "onAnswered", "busy", "notFound", "unavailable", "bye", "renegotiate", "onDtmf", "onEnded"]) {
    Noted.prototype[name] = async function (...values) {
      const [value] = values;
      notes.push([name, value?.by ?? value?.code ?? value].filter((word) => word !== undefined).join(" "));
      await hooks[name]?.call(this, ...values);
    };
  }
  return { Noted, notes };
}

test("a call that comes in runs its hooks in order", OPTIONS, async (t) => {
  let pressed;
  const digit = new Promise((resolve) => (pressed = resolve));
  const { Noted, notes } = noting({
    async ringing() {
      await this.answer();
      // A digit comes while this hook still runs.
      await digit;
    },
    async onDtmf() {
      pressed();
    },
  });
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob", { callClass: Noted })];
  const heard = [];
  bob.on("incoming", ({ call }) => heard.push(call));
  const call = alice.call(at(bob));
  await call.answered();
  call.sendDtmf("7");
  await heard[0].once("dtmf");
  await call.hold();
  await call.hangup();
  assert.ok(heard[0] instanceof Noted);
  await heard[0].ended();
  await new Promise(setImmediate);
  assert.deepEqual(notes, ["ringing", "onDtmf 7", "renegotiate", "bye", "onEnded remote"]);
});

test("a call of ours runs its hooks for each way that it ends", OPTIONS, async (t) => {
  const bob = await started(t, "bob");
  for (const [act, expected] of [
    [(call) => call.deny(486), ["onProgress 180", "busy", "onEnded remote"]],
    [(call) => call.deny(404), ["onProgress 180", "notFound", "onEnded remote"]],
    [(call) => call.deny(503), ["onProgress 180", "unavailable", "onEnded remote"]],
    [(call) => call.answer().then(() => call.hangup()), ["onProgress 180", "onAnswered", "bye", "onEnded remote"]],
  ]) {
    const { Noted, notes } = noting();
    const alice = await started(t, "alice", { callClass: Noted });
    const arriving = nextCall(bob);
    const call = alice.call(at(bob));
    await act(await arriving);
    await call.ended();
    await new Promise(setImmediate);
    assert.deepEqual(notes, expected);
  }
});

test("a hook that throws ends its call, and is told", OPTIONS, async (t) => {
  const { Noted, notes } = noting({
    async ringing() {
      throw new Error("no");
    },
  });
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob", { callClass: Noted })];
  const failed = bob.once("hookFailed");
  const call = alice.call(at(bob));
  await assert.rejects(call.answered(), { code: "rejected", status: 480 });
  const { hook, error, call: theirs } = await failed;
  assert.deepEqual([hook, error.message, theirs instanceof Noted], ["ringing", "no", true]);
  await theirs.ended();
  await new Promise(setImmediate);
  assert.deepEqual(notes, ["ringing"]);
});

test("a class without hooks gives its calls to whoever iterates, and methods of its own", OPTIONS, async (t) => {
  class Named extends Call {
    get name() {
      return this.from.split(/[:@]/)[1];
    }
  }
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob", { callClass: Named })];
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  assert.equal((await arriving).name, "alice");
  await call.cancel();
});

test("a hook by the name of what every call has is refused", () => {
  for (const [name, hook] of [["answered", "onAnswered"], ["ended", "onEnded"], ["progress", "onProgress"], ["dtmf", "onDtmf"]]) {
    const Mistaken = class extends Call {};
    Object.defineProperty(Mistaken.prototype, name, { value() {} });
    assert.throws(() => new Phone({ user: "alice", callClass: Mistaken }), (error) => {
      assert.equal(error.code, "invalid_value");
      assert.ok(error.message.includes(`\`${hook}\``), error.message);
      return true;
    });
  }
});

/** A class whose constructor throws while `broken.is`. */
function fragile() {
  const broken = { is: true };
  class Fragile extends Call {
    constructor(seat) {
      super(seat);
      if (broken.is) throw new Error("no room");
    }
  }
  return { Fragile, broken };
}

test("a call of ours whose class cannot be made is thrown, and ends", OPTIONS, async (t) => {
  const { Fragile, broken } = fragile();
  const bob = await started(t, "bob");
  const alice = await started(t, "alice", { callClass: Fragile, maxCalls: 1 });
  assert.throws(() => alice.call(at(bob)), /no room/);
  assert.deepEqual(alice.calls, []);
  broken.is = false;
  // The phone has room for one call: the first is not there any more.
  const arriving = nextCall(bob);
  const call = alice.call(at(bob));
  await (await arriving).answer();
  await call.answered();
});

test("a call that comes in and whose class cannot be made is refused, and the next is not", OPTIONS, async (t) => {
  const { Fragile, broken } = fragile();
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob", { callClass: Fragile })];
  const refused = bob.once("callRefused");
  const call = alice.call(at(bob));
  await assert.rejects(call.answered(), { code: "rejected", status: 480 });
  const { code, error } = await refused;
  assert.deepEqual([code, error.code, error.cause.message], [480, "invalid_value", "no room"]);
  assert.match(error.message, /callClass cannot make a call: no room/);
  broken.is = false;
  const arriving = nextCall(bob);
  const next = alice.call(at(bob));
  await (await arriving).answer();
  await next.answered();
});

test("a hook that throws ends its call, whatever the class has made of the commands", OPTIONS, async (t) => {
  class Stubborn extends Call {
    ringing() {
      throw new Error("no");
    }
    async close() {}
    async end() {}
    async hangup() {}
  }
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob", { callClass: Stubborn })];
  const failed = bob.once("hookFailed");
  await assert.rejects(alice.call(at(bob)).answered(), { code: "rejected", status: 480 });
  assert.equal((await failed).error.message, "no");
});

test("what is no class of calls is refused", () => {
  for (const callClass of [5, "Call", {}, () => {}, class {}, Date]) {
    assert.throws(() => new Phone({ user: "alice", callClass }), { name: "OffhookError", code: "invalid_value" });
  }
});
