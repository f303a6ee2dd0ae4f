// How a menu (menu.mjs) is tested: in virtual time, in which its ten seconds of patience take a moment.
//
//   node --test wasm/examples/menu.test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";
import { Simulation } from "offhook/sim";
import { serve } from "./menu.mjs";

const RATE = 8_000;

/** A tone of two seconds. */
const tone = (hertz) => ({
  rate: RATE,
  samples: Int16Array.from({ length: 2 * RATE }, (_, i) => 8_000 * Math.sin((2 * Math.PI * hertz * i) / RATE)),
});

const PROMPTS = { welcome: tone(500), again: tone(700), 1: tone(1_500) };

/** How loud a tone is in a second of sound, of 8,000. */
function level({ samples, from = 0 }, hertz) {
  let [re, im] = [0, 0];
  for (let i = 0; i < RATE; i += 1) {
    re += samples[from + i] * Math.cos((2 * Math.PI * hertz * i) / RATE);
    im += samples[from + i] * Math.sin((2 * Math.PI * hertz * i) / RATE);
  }
  return (2 * Math.hypot(re, im)) / RATE;
}

/** Lets anna call the menu and do as `story` says; resolves with what she has heard, and when it was over. */
async function called(sim, story) {
  sim.exchange("10.0.0.1", { users: { menu: "m", anna: "a" } });
  const menu = sim.phone("10.0.0.2", { server: "10.0.0.1", user: "menu", password: "m" });
  const anna = sim.phone("10.0.0.3", { server: "10.0.0.1", user: "anna", password: "a" });
  menu.on("incoming", ({ call }) => serve(call, async (name) => PROMPTS[name], (ms, options) => sim.sleep(ms, options)));
  await Promise.all([menu.start(), anna.start()]);
  const call = anna.call("menu");
  await call.answered();
  const answered = sim.now;
  const heard = [];
  const listening = (async () => {
    for await (const samples of call.readable(RATE)) heard.push(...samples);
  })();
  await story(call);
  const { by } = await call.ended();
  await listening;
  assert.equal(by, "remote");
  return { samples: heard, seconds: (sim.now - answered) / 1_000 };
}

test("a digit interrupts the welcome, and what was chosen is played to its end", async () => {
  const sim = new Simulation({ seed: 7 });
  const { samples, seconds } = await sim.until(
    called(sim, async (call) => {
      await sim.sleep(1_000);
      call.sendDtmf("1");
    }),
  );
  assert.ok(level({ samples, from: 100 }, 500) > 7_000, "the welcome");
  assert.ok(level({ samples, from: samples.length - 12_000 }, 1_500) > 7_000, "what was chosen");
  assert.ok(seconds > 3 && seconds < 3.5, `${seconds} s`);
});

test("who presses nothing is asked three times", async () => {
  const sim = new Simulation({ seed: 8 });
  const { samples, seconds } = await sim.until(called(sim, async () => {}));
  assert.equal(Math.round(seconds), 3 * (2 + 10));
  for (const again of [12, 24]) assert.ok(level({ samples, from: again * RATE + RATE / 2 }, 700) > 7_000, `${again} s`);
});

test("a digit gets through a network that loses every tenth packet", async () => {
  const sim = new Simulation({ seed: 9 });
  sim.link("10.0.0.2", "10.0.0.3", { delay: 40, jitter: 20, lossPermille: 100 });
  const { seconds } = await sim.until(called(sim, async (call) => call.sendDtmf("1")));
  assert.ok(seconds < 5, `${seconds} s`);
});
