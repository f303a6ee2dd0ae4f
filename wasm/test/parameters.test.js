// What a phone can be made of, and what is refused.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { NodeHost, Phone } from "../dist/node.js";

const types = readFileSync(new URL("../dist/offhook_wasm.d.ts", import.meta.url), "utf8");

test("every parameter is taken, and the host is told its part", async () => {
  const parameters = {
    server: "pbx.example.com:5070",
    user: "alice",
    password: "secret",
    authUser: "1001",
    realm: "example.com",
    allowMd5: false,
    displayName: "Alice",
    instance: "urn:uuid:6a1b7f1c-4e5d-4a61-9d2b-0f4b8f0f1a2b",
    credentials: [{ username: "1002", password: "other", realm: "trunk.example.com" }],
    outboundProxy: "sip:proxy.example.com",
    transport: "tls",
    allowTcp: false,
    websocketPath: "/sip",
    caFile: "ca.pem",
    certFile: "own.pem",
    keyFile: "own.key",
    keyPassword: () => "open",
    clientCaFile: "clients.pem",
    tlsInsecure: false,
    dnsServers: ["192.0.2.53", "[2001:db8::53]:5353"],
    bind: "[::1]:5080",
    bindNetwork: "10.0.0.0/8",
    hostname: "10.0.0.1",
    remoteHostname: "203.0.113.1",
    learnAddress: false,
    stun: "stun.example.com:3479",
    keepAlive: "options",
    keepAliveInterval: 40,
    symmetricRtp: "same-address",
    register: false,
    expires: 60,
    registrationAttempts: 2,
    startTimeout: 20,
    rtpPorts: [40_000, 40_010],
    codecs: ["pcma"],
    ptime: 30,
    userAgent: "test/1",
    answerTimeout: 10,
    maxRedirects: 1,
    mediaTimeout: 0,
    maxCalls: 2,
    acceptAnyUser: false,
    acceptTransfer: true,
    nextHop: "192.0.2.7:5060",
  };
  const declared = /export interface PhoneParameters \{\n(.*?)^\}/ms.exec(types)[1];
  const names = [...declared.matchAll(/^    (\w+)\??:/gm)].map(([, name]) => name);
  assert.deepEqual(names.filter((name) => !(name in parameters)), ["port"], "it is in `server` here");
  let needs;
  class Told extends NodeHost {
    async open(wanted) {
      needs = wanted;
      throw new Error("that is all");
    }
  }
  const phone = new Phone({ ...parameters, host: new Told() });
  assert.equal(phone.status, "inactive");
  await assert.rejects(phone.start(), { code: "bind" });
  assert.deepEqual(needs, {
    address: "::1",
    port: 5080,
    listen: ["TLS"],
    tls: {
      caFile: "ca.pem",
      certFile: "own.pem",
      keyFile: "own.key",
      keyPassword: "open",
      clientCaFile: "clients.pem",
      insecure: false,
    },
    dnsServers: ["192.0.2.53:53", "[2001:db8::53]:5353"],
    websocketPath: "/sip",
  });
});

test("what cannot be used is refused with its name", () => {
  const refused = (parameters, message) =>
    assert.throws(() => new Phone({ user: "alice", ...parameters }), {
      code: "invalid_value",
      message,
    });
  refused({ usr: "alice" }, /"usr".*no.* that name/);
  refused({ user: 1 }, /user "1".*not a string/);
  refused({ bind: "everywhere" }, /bind "everywhere"/);
  refused({ codecs: ["GSM"] }, /codecs/);
  refused({ expires: -1 }, /expires "-1"/);
  refused({ rtpPorts: 10_000 }, /rtpPorts/);
  refused({ password: 1 }, /password "\.\.\."/);
});

test("a range without a pair of ports is refused", () => {
  const given = { user: "alice", rtpPorts: [10_001, 10_001] };
  assert.throws(() => new Phone(given), { code: "invalid_range" });
});
