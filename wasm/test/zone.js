// A DNS server, for tests: `records` are `{ "SRV _sip._udp.pbx.test": [...] }`.
import { createSocket } from "node:dgram";
import { once } from "node:events";

const TYPES = { 1: "A", 28: "AAAA", 33: "SRV", 35: "NAPTR" };

/** Serves it until the test is over: its address, and what it is asked. Without records it answers nothing
 * but that it cannot. */
export async function serveNames(t, records) {
  const socket = createSocket("udp4");
  const asked = [];
  socket.on("message", (query, from) => {
    const { question, end } = read(query);
    asked.push(question);
    socket.send(reply(query, end, records?.[question] ?? [], !records), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return { address: `127.0.0.1:${socket.address().port}`, asked };
}

export const a = (ip) => Buffer.from(ip.split(".").map(Number));

export const srv = (priority, port, target) =>
  Buffer.concat([words(priority, 0, port), name(target)]);

export const naptr = (order, service, replacement) =>
  Buffer.concat([words(order, 50), text("s"), text(service), text(""), name(replacement)]);

function read(query) {
  const labels = [];
  let at = 12;
  for (; query[at] > 0; at += 1 + query[at]) {
    labels.push(query.toString("latin1", at + 1, at + 1 + query[at]));
  }
  const type = query.readUInt16BE(at + 1);
  return { question: `${TYPES[type] ?? type} ${labels.join(".").toLowerCase()}`, end: at + 5 };
}

function reply(query, end, datas, broken) {
  // The query's number; a recursive answer, or a failure; one question and so many answers.
  const flags = broken ? 0x8182 : 0x8180;
  const head = Buffer.concat([query.subarray(0, 2), words(flags, 1, datas.length, 0, 0)]);
  const question = query.subarray(12, end);
  const type = query.subarray(end - 4, end);
  // Each begins with a pointer to the name in the question, and holds for a minute.
  const record = (data) => Buffer.concat([words(0xc00c), type, words(0, 60, data.length), data]);
  return Buffer.concat([head, question, ...datas.map(record)]);
}

function words(...numbers) {
  const bytes = Buffer.alloc(2 * numbers.length);
  numbers.forEach((number, index) => bytes.writeUInt16BE(number, 2 * index));
  return bytes;
}

const text = (value) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);

const name = (value) => Buffer.concat([...value.split(".").map(text), Buffer.from([0])]);
