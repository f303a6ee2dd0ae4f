// What a phone can be made of, and what is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Phone } from "../node/phone.js";

test("every parameter is taken", () => {
  const phone = new Phone({
    server: "pbx.example.com:5070",
    user: "alice",
    password: "secret",
    authUser: "1001",
    realm: "example.com",
    allowMd5: false,
    displayName: "Alice",
    outboundProxy: "sip:proxy.example.com",
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
    rtpPorts: [40_000, 40_010],
    codecs: ["pcma"],
    ptime: 30,
    userAgent: "test/1",
    answerTimeout: 10,
    mediaTimeout: 0,
    maxCalls: 2,
    acceptAnyUser: false,
    acceptTransfer: true,
  });
  assert.equal(phone.status, "inactive");
  assert.equal(phone.machine.bindAddress, "::1");
  assert.equal(phone.machine.bindPort, 5080);
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
