// A run of the simulation: a page and Node are to have it alike.
import { Simulation, load } from "offhook/sim";

const RATE = 16_000;

/** What has happened, as text: the same text is the same run. */
export async function story() {
  await load();
  const sim = new Simulation({ seed: 11 });
  sim.exchange("10.0.0.1", { users: { alice: "a", bob: "b" } });
  sim.defaultLink({ delay: 20, jitter: 10, lossPermille: 20, duplicatePermille: 10 });
  const phone = (address, user) => sim.phone(address, { server: "10.0.0.1", user, password: user[0] });
  const [alice, bob] = [phone("10.0.0.2", "alice"), phone("10.0.0.3", "bob")];
  const digits = [];
  bob.on("incoming", ({ call }) => {
    call.on("dtmf", ({ digit }) => digits.push(digit));
    void call.answer();
  });
  const told = async () => {
    await Promise.all([alice.start(), bob.start()]);
    const call = alice.call("bob");
    await call.answered();
    const recording = await call.record();
    await call.play({ rate: RATE, samples: Float32Array.from({ length: RATE }, (_, i) => Math.sin(i / 5) / 4) });
    call.sendDtmf("42#");
    await sim.sleep(600_000);
    const { by, durationMs } = await call.hangup();
    const { length } = await recording.stop();
    await Promise.all([alice.stop(), bob.stop()]);
    return { by, durationMs, length };
  };
  const { by, durationMs, length } = await sim.until(told());
  return JSON.stringify([by, durationMs, length, digits.join(""), Math.round(sim.now), sim.traceHash]);
}
