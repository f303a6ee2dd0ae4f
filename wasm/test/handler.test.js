// A program that sees every SIP message.
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, connected, nextCall, OPTIONS, started } from "./phones.js";

test("a handler sees, changes, answers and drops", OPTIONS, async (t) => {
  const seen = [];
  const sipHandler = {
    methods: ["PING"],
    requestIn(request, from) {
      seen.push([request.method, from.address]);
      if (request.method === "PING") {
        return { status: 299, reason: "Busy day", headers: { "X-Load": "0.2" }, body: "half" };
      }
      return request.get("Subject") === "spam" ? "drop" : "pass";
    },
    responseOut(response) {
      response.set("X-Seen", String(response.status));
    },
  };
  const [alice, bob] = [await started(t, "alice"), await started(t, "bob", { sipHandler })];
  const pong = await alice.request("PING", at(bob), { body: "?", contentType: "text/x" });
  assert.deepEqual([pong.code, pong.reason, Buffer.from(pong.body).toString()], [299, "Busy day", "half"]);
  assert.ok(pong.headers.some(([name, value]) => name === "X-Load" && value === "0.2"));
  const { headers } = await alice.options(at(bob));
  assert.ok(headers.some(([name, value]) => name === "X-Seen" && value === "200"), JSON.stringify(headers));
  assert.ok(headers.some(([name, value]) => name === "Allow" && value.includes("PING")));
  assert.deepEqual(seen, [["PING", "127.0.0.1"], ["OPTIONS", "127.0.0.1"]]);
  const abort = new AbortController();
  const spam = alice.request("NOTIFY", at(bob), { headers: { Subject: "spam", Event: "x" }, signal: abort.signal });
  while (seen.length < 3) await new Promise(setImmediate);
  abort.abort();
  await assert.rejects(spam, { name: "AbortError" });
});

test("a handler changes what leaves, one for each start", OPTIONS, async (t) => {
  let made = 0;
  const sipHandler = () => {
    made += 1;
    return {
      requestOut(request) {
        if (request.method === "INVITE") request.add("X-Account", "7001");
      },
    };
  };
  const { alice, bob, answering } = await connected(t, { here: { sipHandler } });
  assert.ok(answering.info.headers.some(([name, value]) => name === "X-Account" && value === "7001"));
  await alice.stop();
  await alice.start();
  const arriving = nextCall(bob);
  alice.call(at(bob));
  assert.ok((await arriving).info.headers.some(([name]) => name === "X-Account"));
  assert.equal(made, 2);
});

test("a handler that uses the phone is refused in words, and one that throws is told", OPTIONS, async (t) => {
  const refused = [];
  let phone;
  const sipHandler = {
    requestIn() {
      for (const act of [() => phone.call("sip:x@127.0.0.1:9"), () => phone.networkChanged(), () => phone.counters]) {
        try {
          act();
        } catch (error) {
          refused.push(error.code);
        }
      }
      throw new Error("mine");
    },
  };
  const alice = await started(t, "alice");
  phone = await started(t, "bob", { sipHandler });
  const failed = phone.once("handlerFailed");
  // The message went on as it was.
  assert.equal((await alice.options(at(phone))).code, 200);
  const { method, error } = await failed;
  assert.deepEqual([method, error.message], ["requestIn", "mine"]);
  assert.deepEqual(refused, ["in_handler", "in_handler", "in_handler"]);
  assert.equal((await phone.options(at(alice))).code, 200);
});
