// Calls between two telephones in this process, over UDP on this machine.
import { Phone } from "offhook";

/** What is in the air at a time, when calls are counted. */
const CONCURRENT = 20;
const CALLS = 1_000;

const WITH_SOUND = 50;
const SECONDS = 5;
const RATE = 8_000;

async function pair() {
  const started = async (user, rtpPorts) => {
    const phone = new Phone({ user, bind: "127.0.0.1:0", rtpPorts, maxCalls: 1_000 });
    await phone.start();
    return phone;
  };
  const [alice, bob] = [await started("alice", [20_000, 29_998]), await started("bob", [30_000, 39_998])];
  bob.on("incoming", ({ call }) => call.answer().catch(() => {}));
  const target = `sip:bob@127.0.0.1:${bob.listening[0].port}`;
  return { alice, target, stop: () => Promise.all([alice.close(), bob.close()]) };
}

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Calls that are answered and hung up: how many a second, and the CPU seconds of each. */
export async function callsPerSecond() {
  const { alice, target, stop } = await pair();
  const one = async () => {
    const call = alice.call(target);
    await call.answered();
    await call.hangup();
  };
  await Promise.all(Array.from({ length: CONCURRENT }, one));
  const [start, cpu] = [performance.now(), cpuSeconds()];
  let left = CALLS;
  const worker = async () => {
    while (left-- > 0) await one();
  };
  await Promise.all(Array.from({ length: CONCURRENT }, worker));
  const [seconds, used] = [(performance.now() - start) / 1e3, cpuSeconds() - cpu];
  await stop();
  return { rate: CALLS / seconds, cpu: used / CALLS };
}

/** Calls whose callers send a tone: how many packets were sent or received for each second of CPU. */
export async function packetsPerCpuSecond() {
  const { alice, target, stop } = await pair();
  const calls = Array.from({ length: WITH_SOUND }, () => alice.call(target));
  await Promise.all(calls.map((call) => call.answered()));
  const tone = Int16Array.from({ length: RATE * (SECONDS + 1) }, (_, i) => 8_000 * Math.sin((2 * Math.PI * 440 * i) / RATE));
  for (const call of calls) call.writeAudio(RATE, tone);
  const count = () => calls.reduce((sum, { stats }) => sum + stats.sent + stats.received, 0);
  const [before, cpu] = [count(), cpuSeconds()];
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1_000));
  // The far ends are in this process too: each packet is sent by one and received by the other.
  const packets = 2 * (count() - before);
  const used = cpuSeconds() - cpu;
  await stop();
  return { calls: WITH_SOUND, packets: packets / used };
}
