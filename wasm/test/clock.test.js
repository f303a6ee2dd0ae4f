// Virtual time, on a network where something happens at times that a test says.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Clock } from "../dist/sim/clock.js";

/** Something happens at each of these times, in microseconds: `act` is called. */
function world(times = [], act = () => true) {
  const left = [...times];
  const events = {
    time: 0,
    now: () => events.time,
    nextAt: () => left[0] ?? Infinity,
    step() {
      events.time = left.shift();
      return act(events.time);
    },
    advance(to) {
      events.time = to;
    },
  };
  return { events, clock: new Clock(events) };
}

test("a run lets time pass, and what is due in it happens", async () => {
  const seen = [];
  const { events, clock } = world([1_000, 1_500, 3_000], (at) => seen.push(at));
  await clock.run(2);
  assert.deepEqual(seen, [1_000, 1_500]);
  assert.equal(events.time, 2_000);
  // What happens at its very end has happened.
  await clock.run(1);
  assert.deepEqual(seen, [1_000, 1_500, 3_000]);
});

test("whoever waits goes on at that very instant", async () => {
  let tell;
  const told = new Promise((resolve) => (tell = resolve));
  const { events, clock } = world([1_000, 1_001, 1_002], (at) => at === 1_000 && (tell(), true));
  const story = async () => {
    await told;
    for (let i = 0; i < 100; i += 1) await undefined;
    const first = events.time;
    await clock.sleep(5);
    return [first, events.time];
  };
  assert.deepEqual(await clock.until(story(), 60_000), [1_000, 6_000]);
});

test("what fails fails, and what does not come is missed", async () => {
  const { events, clock } = world([1_000]);
  await assert.rejects(clock.until(Promise.reject(new Error("no")), 10), /no/);
  assert.equal(events.time, 0);
  const never = new Promise(() => {});
  await assert.rejects(clock.until(never, 10), { code: "timeout", message: /nothing more will happen/ });
  assert.equal(events.time, 10_000);
  const { clock: busy } = world(Array.from({ length: 100 }, (_, i) => 1_000 * i), () => false);
  await assert.rejects(busy.until(never, 10), /by 0\.010 s: 10 ms have passed/);
  await assert.rejects(async () => busy.until(never, NaN), { code: "invalid_value" });
  await assert.rejects(async () => busy.sleep(-1), { code: "invalid_value" });
});

test("within a run nobody else lets time pass", async () => {
  const { events, clock } = world();
  const story = async () => {
    await clock.run(10);
    await assert.rejects(clock.until(new Promise(() => {}), 10), { code: "timeout" });
    await clock.until(clock.sleep(5), 10);
    return events.time;
  };
  assert.equal(await clock.until(story(), 60_000), 25_000);
  // The limit that was not reached is no longer waited for.
  await clock.run(1);
  assert.equal(events.time, 26_000);
});

test("sleepers wake in their order, and one that is aborted does not", async () => {
  const { events, clock } = world();
  const order = [];
  const given = new AbortController();
  const sleepers = [30, 10, 20, 10].map((ms, i) => clock.sleep(ms).then(() => order.push([i, events.time])));
  const aborted = assert.rejects(clock.sleep(15, given.signal), /enough/);
  given.abort(new Error("enough"));
  await clock.run(100);
  await Promise.all([...sleepers, aborted]);
  assert.deepEqual(order, [[1, 10_000], [3, 10_000], [2, 20_000], [0, 30_000]]);
  await assert.rejects(clock.sleep(15, given.signal), /enough/);
});

test("time stands still for what is outside", async () => {
  const { events, clock } = world([1_000, 2_000], () => true);
  const story = async () => {
    await clock.sleep(1.5);
    await clock.outside(new Promise((resolve) => setTimeout(resolve, 20)));
    return events.time;
  };
  assert.equal(await clock.until(story(), 60_000), 1_500);
});

test("runs at once end each at its time, whichever is the first", async () => {
  for (const lengths of [[10, 20, 15], [20, 10, 15]]) {
    const { events, clock } = world();
    const ended = await Promise.all(lengths.map((ms) => clock.run(ms).then(() => events.time / 1_000)));
    assert.deepEqual(ended, lengths);
    // Nobody lets time pass any more, and the next run does.
    await clock.run(5);
    assert.equal(events.time, 25_000);
  }
});

test("what is waited for beside a run that ends first is missed in time", async () => {
  const never = new Promise(() => {});
  const { events, clock } = world();
  const late = assert.rejects(clock.until(never, 30), { code: "timeout" }).then(() => events.time);
  const [, missed, at] = await Promise.all([
    clock.run(10),
    assert.rejects(clock.until(never, Infinity), { code: "timeout", message: /nothing more will happen/ }),
    late,
  ]);
  assert.deepEqual([missed, at], [undefined, 30_000]);
});
