// A phone of this package among others' programs, on every transport.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Phone, readWav } from "../dist/node.js";
import { baresip, SECONDS } from "./baresip.js";
import { Authority } from "./certificates.js";
import { kamailio, lacking, TRANSPORTS } from "./kamailio.js";
import { exchange, missing, offhook } from "./offhook.js";
import { nextCall, OPTIONS } from "./phones.js";
import { assertHears, spoiltOfAtLeast, tone } from "./sound.js";
import { unlessStalled } from "./stall.js";

/** A phone that registers at a server by a transport; it is closed after the test. */
async function registered(t, transport, options) {
  const phone = new Phone({ transport, bind: "127.0.0.1:0", rtpPorts: [42_000, 42_998], ...options });
  t.after(() => phone.close());
  await phone.start();
  return phone;
}

test("a call through offhook exchange with offhook answer, on every transport", { ...OPTIONS, skip: missing }, async (t) => {
  const authority = new Authority(t);
  const certificate = authority.issue(["IP:127.0.0.1"]);
  const servers = await exchange(t, { transports: TRANSPORTS, certificate });
  const account = ["--server", servers.udp, "--user", "bob", "--password", "b", "--bind", "127.0.0.1:0"];
  const bob = offhook(t, "answer", ...account, "--rtp-ports", "43000-43098", "--echo");
  await bob.event("registered");
  for (const transport of TRANSPORTS) {
    const phone = await registered(t, transport, {
      server: servers[transport],
      user: "alice",
      password: "a",
      caFile: authority.caFile,
    });
    assert.equal(phone.status, "registered", transport);
    assert.match(phone.binding.contact, /^<?sip/, transport);
    const call = phone.call("bob");
    await call.answered();
    // The far end sends back what it hears.
    await assertHears(call, call, 1_000);
    call.sendDtmf("195");
    const digits = [];
    while (digits.length < 3) digits.push((await bob.event("dtmf")).digit);
    assert.equal(digits.join(""), "195", transport);
    const { stats } = await call.hangup();
    assert.equal((await bob.event("ended")).by, "remote", transport);
    assert.equal(stats.lost, 0, transport);
    // Whoever registers last by a transport is called by it.
    await phone.close();
  }
});

test("a certificate for somebody else is refused in the words of the native phone", { ...OPTIONS, skip: missing }, async (t) => {
  const authority = new Authority(t);
  const certificate = authority.issue(["DNS:pbx.example.com"]);
  const servers = await exchange(t, { transports: ["tls", "wss"], certificate });
  for (const [transport, problem] of [
    ["tls", "its certificate is for pbx.example.com, not 127.0.0.1"],
    ["wss", "its certificate is for pbx.example.com, not 127.0.0.1"],
  ]) {
    const account = { server: servers[transport], user: "alice", password: "a", caFile: authority.caFile };
    const message = `127.0.0.1 cannot be trusted: ${problem}`;
    await assert.rejects(registered(t, transport, account), { code: "untrusted", message }, transport);
    // The native command says the same.
    const words = ["--server", servers[transport], "--transport", transport, "--ca-file", authority.caFile];
    const native = offhook(t, "options", "alice", "--user", "alice", "--bind", "127.0.0.1:0", ...words);
    await assert.rejects(native.event("none"), (error) => error.message.includes(message) || assert.fail(error.message));
  }
  const stranger = { server: servers.tls, user: "alice", password: "a" };
  const untrusted =
    "its certificate is self-signed, or signed by an authority that is not trusted here (give --ca-file)";
  await assert.rejects(registered(t, "tls", stranger), { message: `127.0.0.1 cannot be trusted: ${untrusted}` });
  await registered(t, "tls", { ...stranger, tlsInsecure: true });
});

test("a wrong password is refused in words", { ...OPTIONS, skip: missing }, async (t) => {
  const { udp: server } = await exchange(t);
  const account = { server, user: "alice", password: "wrong", registrationAttempts: 1 };
  const phone = new Phone({ ...account, bind: "127.0.0.1:0" });
  const failed = phone.once("registrationFailed");
  const message = `${server} refused to register alice: 403 Forbidden (is the password right?)`;
  await assert.rejects(phone.start(), { code: "registration_refused", status: 403, message });
  assert.equal((await failed).code, 403);
  assert.equal(phone.status, "failed");
});

test("two phones call each other through Kamailio, on every transport", { ...OPTIONS, skip: lacking("kamailio") }, async (t) => {
  const server = await kamailio(t);
  for (const transport of TRANSPORTS) {
    const account = (user) => ({
      server: server.server(transport),
      user,
      password: `secret-${user}`,
      caFile: server.caFile,
    });
    const alice = await registered(t, transport, account(`${transport}-alice`));
    const bob = await registered(t, transport, account(`${transport}-bob`));
    const arriving = nextCall(bob);
    const call = alice.call(`${transport}-bob`);
    const answering = await arriving;
    await Promise.all([answering.answer(), call.answered()]);
    await Promise.all([assertHears(answering, call, 1_000), assertHears(call, answering, 700, 16_000)]);
    call.sendDtmf("28");
    assert.equal(await answering.readDtmf(2), "28", transport);
    const [end] = await Promise.all([answering.ended(), call.hangup()]);
    assert.equal(end.by, "remote", transport);
    await Promise.all([alice.close(), bob.close()]);
  }
});

const skip = lacking("kamailio", "baresip");

/** What is wrong with what we have heard of its tone, or it of ours. */
const spoiltEither = (ours, theirs) =>
  spoiltOfAtLeast(readWav(ours).samples, 1_000, SECONDS - 0.5) ??
  spoiltOfAtLeast(readWav(theirs).samples, 600, 1.9);

/** A phone and a baresip, both at Kamailio. Each time they are other users: a baresip lasts as long as the test. */
async function withBaresip(t, server, transport, attempt) {
  const far = await baresip(t, server, transport, `${transport}-baresip-${attempt}`);
  const user = `${transport}-phone-${attempt}`;
  const account = { server: server.server(transport), user, password: `secret-${user}`, caFile: server.caFile };
  return { far, phone: await registered(t, transport, account) };
}

// It has no WebSocket.
for (const transport of ["udp", "tcp", "tls"]) {
  test(`baresip is called through Kamailio by ${transport}`, { ...OPTIONS, skip }, async (t) => {
    const server = await kamailio(t);
    let attempt = 0;
    // baresip needs time of its own: a machine that has none left says nothing of us.
    const idle = { idle: 0.1, exhausted: (problem) => t.skip(problem) };
    await unlessStalled(async () => {
      const { far, phone } = await withBaresip(t, server, transport, (attempt += 1));
      const call = phone.call(`${transport}-baresip-${attempt}`);
      await call.answered();
      const recording = await call.record({ kept: "received" });
      await call.play({ rate: 8_000, samples: tone(600, 8_000, 2, 0) });
      // Its word for the end of its tone.
      await far.wait("AUDIO_ERROR");
      await call.close();
      await far.wait("CALL_CLOSED");
      await phone.close();
      return spoiltEither(await recording.finished(), far.heard());
    }, idle);
  });

  test(`baresip calls through Kamailio by ${transport}`, { ...OPTIONS, skip }, async (t) => {
    const server = await kamailio(t);
    let attempt = 0;
    // baresip needs time of its own: a machine that has none left says nothing of us.
    const idle = { idle: 0.1, exhausted: (problem) => t.skip(problem) };
    await unlessStalled(async () => {
      const { far, phone } = await withBaresip(t, server, transport, (attempt += 1));
      const arriving = nextCall(phone);
      await far.command("dial", `sip:${transport}-phone-${attempt}@127.0.0.1`);
      const call = await arriving;
      await call.answer();
      const recording = await call.record({ kept: "received" });
      await call.play({ rate: 8_000, samples: tone(600, 8_000, 2, 0) });
      await far.wait("AUDIO_ERROR");
      await far.command("hangup");
      assert.equal((await call.ended()).by, "remote");
      await phone.close();
      return spoiltEither(await recording.finished(), far.heard());
    }, idle);
  });
}
