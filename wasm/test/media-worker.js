// One end of a call's media in a thread of its own: does as it is told, and knows of nothing else.
import { parentPort, workerData } from "node:worker_threads";

import { MediaMachine } from "../dist/media.js";

const RATE = 16_000;

const machine = new MediaMachine(workerData.module, workerData.key);
const heard = new Int16Array(RATE);

parentPort.on("message", ({ now, controls = [], packets, samples, digits }) => {
  for (const control of controls) machine.handleControl(now, control);
  if (packets) machine.handlePackets(now, packets);
  if (samples) machine.writeAudio(RATE, samples);
  if (digits) machine.sendDtmf(digits);
  machine.handleDeadline(now, now);
  const count = machine.readAudio(RATE, heard);
  parentPort.postMessage({
    packets: machine.takePackets(),
    events: machine.takeEvents(),
    heard: heard.slice(0, count),
    deadline: machine.nextDeadline,
  });
});
