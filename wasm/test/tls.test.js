// TLS of the host in Node: whom it trusts, what it says of others, and which files it takes. The sentences
// are those of native/src/tls.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer as createPlainServer } from "node:net";
import { test } from "node:test";
import { createServer } from "node:tls";
import { readCertificates } from "../dist/node/certificates.js";
import { NodeHost } from "../dist/node/host.js";
import { alternatives } from "../dist/node/identities.js";
import { Authority } from "./certificates.js";
import { opened } from "./inlet.js";

const OPTIONS = { timeout: 60_000 };
const UNTRUSTED =
  "its certificate is self-signed, or signed by an authority that is not trusted here (give --ca-file)";
const WANTED = "it asks for a certificate: give --cert-file and --key-file";
const [PAST, FUTURE] = [["010101000000Z", "240502120000Z"], ["21010101000000Z", "21020101000000Z"]];

/** A server with this certificate; its port. It says what it reads. */
async function serve(t, { certFile, keyFile }, more = {}) {
  const files = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  const server = createServer({ ...files, ...more }, (socket) => socket.on("error", () => {}).pipe(socket));
  server.on("tlsClientError", (_, socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return server.address().port;
}

/** What a host says of a server that it asks for as `name`: identities, or the kind and the problem. */
async function ask(t, port, tls, name = "pbx.example.com", transport = "TLS") {
  const { host, inlet } = await opened(t, NodeHost, { listen: [], tls: { insecure: false, ...tls } });
  host.openFlow({ id: 1, transport, address: "127.0.0.1", port, name });
  const [, flow, , certificate] = await Promise.race([
    inlet.next("flowOpened"),
    inlet.next("flowFailed").then(([id, kind, problem]) => [id, { kind, problem }]),
  ]);
  await host.close();
  return typeof flow === "number" ? { certificate } : flow;
}

test("the names in a certificate are read, and none is made of others' text", () => {
  assert.deepEqual(alternatives('DNS:a.example, IP Address:192.0.2.7, URI:sip:example.com, URI:"sip:x, DNS:evil.example"'), [
    { kind: "DNS", value: "a.example" },
    { kind: "IP Address", value: "192.0.2.7" },
    { kind: "URI", value: "sip:example.com" },
    { kind: "URI", value: "sip:x, DNS:evil.example" },
  ]);
  assert.deepEqual(alternatives('DirName:"O = \\"x, DNS:evil\\"", DNS:b'), [
    { kind: "DirName", value: 'O = "x, DNS:evil"' },
    { kind: "DNS", value: "b" },
  ]);
});

test("the telephone is told whom a certificate names", OPTIONS, async (t) => {
  const authority = new Authority(t);
  const { caFile } = authority;
  const names = ["DNS:pbx.example.com", "URI:sip:example.com", "IP:192.0.2.7", "IP:2001:db8::7", "DNS:*.example.net"];
  const port = await serve(t, authority.issue(names));
  const { certificate } = await ask(t, port, { caFile });
  assert.deepEqual(certificate, {
    uris: ["sip:example.com"],
    dnsNames: ["pbx.example.com", "*.example.net"],
    addresses: ["192.0.2.7", "2001:DB8:0:0:0:0:0:7"],
  });
  const nameless = await serve(t, authority.issue([], { subject: "/CN=pbx" }));
  const named = await ask(t, nameless, { caFile });
  assert.deepEqual(named.certificate, { uris: [], dnsNames: [], addresses: [], commonName: "pbx" });
});

test("only the name is left to the telephone", OPTIONS, async (t) => {
  const authority = new Authority(t);
  const { caFile } = authority;
  for (const [names, problem] of [
    [["URI:sip:example.com"], "its certificate has no DNS name and no address, as HTTPS wants it: not a.example.com"],
    [["DNS:other.example", "IP:192.0.2.7"], "its certificate is for other.example, 192.0.2.7, not a.example.com"],
    [["DNS:*.example.com"], "it closed the connection at once"],
  ]) {
    const port = await serve(t, authority.issue(names));
    assert.ok((await ask(t, port, { caFile }, "a.example.com")).certificate, names[0]);
    // Over WebSocket the rules of HTTPS hold as well; this server speaks none.
    const https = await ask(t, port, { caFile }, "a.example.com", "WSS");
    if (problem.startsWith("its")) assert.deepEqual(https, { kind: "untrusted", problem });
    else assert.equal(https.kind, "unreachable", https.problem);
  }
});

test("what else is wrong with a certificate is told", OPTIONS, async (t) => {
  const [authority, other] = [new Authority(t), new Authority(t, "other")];
  const pbx = ["DNS:pbx.example.com"];
  const between = authority.issue([], { subject: "/CN=between", canSign: true });
  const below = authority.issue(pbx, { issuer: between.name });
  const chain = readFileSync(below.certFile, "utf8") + readFileSync(between.certFile, "utf8");
  writeFileSync(authority.path("chain.pem"), chain);
  for (const [pair, problem] of [
    [authority.issue(pbx, { dates: PAST }), "its certificate expired on 2 May 2024"],
    [
      authority.issue(pbx, { dates: FUTURE }),
      "its certificate is valid from 1 January 2101 only (is the clock right?)",
    ],
    [other.issue(pbx), UNTRUSTED],
    [authority.issue(pbx, { issuer: null }), UNTRUSTED],
    [
      authority.issue(pbx, { issuer: null, canSign: true }),
      "its certificate is that of an authority, as self-signed ones often are, and is not trusted here (give --ca-file)",
    ],
    [below, UNTRUSTED],
    [
      authority.issue(pbx, { usage: "clientAuth" }),
      "its certificate is not one for this end of TLS (extendedKeyUsage)",
    ],
    // The wrong name hides nothing.
    [authority.issue(["DNS:other.example"], { dates: PAST }), "its certificate expired on 2 May 2024"],
    [other.issue(["DNS:other.example"]), UNTRUSTED],
  ]) {
    const { caFile } = authority;
    const port = await serve(t, pair);
    assert.deepEqual(await ask(t, port, { caFile }), { kind: "untrusted", problem });
    assert.ok((await ask(t, port, { insecure: true }, "any", "TLS")).certificate, `insecure: ${problem}`);
  }
  const complete = { certFile: authority.path("chain.pem"), keyFile: below.keyFile };
  for (const pair of [complete, authority.issue(pbx, { usage: "serverAuth" })]) {
    assert.ok((await ask(t, await serve(t, pair), { caFile: authority.caFile })).certificate);
  }
  // The system does not trust an authority of ours.
  assert.equal((await ask(t, await serve(t, complete), {})).problem, UNTRUSTED);
});

test("a certificate can be named itself", OPTIONS, async (t) => {
  const authority = new Authority(t);
  for (const how of [{ issuer: null }, { issuer: null, canSign: true }, {}]) {
    const pair = authority.issue(["DNS:pbx.example.com"], how);
    const port = await serve(t, pair);
    assert.ok((await ask(t, port, { caFile: pair.certFile })).certificate, JSON.stringify(how));
  }
  const old = authority.issue(["DNS:pbx.example.com"], { dates: PAST });
  const { problem } = await ask(t, await serve(t, old), { caFile: old.certFile });
  assert.equal(problem, "its certificate expired on 2 May 2024");
});

test("a server that asks for a certificate is shown ours", OPTIONS, async (t) => {
  const authority = new Authority(t);
  const { caFile } = authority;
  const own = authority.issue(["DNS:pbx.example.com"]);
  const demanding = { ca: readFileSync(caFile), requestCert: true, rejectUnauthorized: true };
  const port = await serve(t, own, demanding);
  const known = authority.issue(["DNS:alice.example.com"]);
  assert.ok((await ask(t, port, { caFile, ...known })).certificate);
  assert.deepEqual(await ask(t, port, { caFile }), { kind: "untrusted", problem: WANTED });
  // One of TLS 1.2 cannot say so exactly.
  const older = await serve(t, own, { ...demanding, maxVersion: "TLSv1.2" });
  assert.match((await ask(t, older, { caFile })).problem, /asks for a certificate/);
});

test("a peer that speaks no TLS is told", OPTIONS, async (t) => {
  const authority = new Authority(t);
  const answer = async (bytes) => {
    const server = createPlainServer((socket) => {
      socket.on("error", () => {}).once("data", () => socket.end(Buffer.from(bytes, "latin1")));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    return ask(t, server.address().port, { caFile: authority.caFile });
  };
  const none = "it speaks no TLS there (is the port right?)";
  assert.deepEqual(await answer("SIP/2.0 400 Bad Request\r\n\r\n"), { kind: "untrusted", problem: none });
  const closed = "it closed the connection in the TLS handshake (does it speak TLS there?)";
  assert.deepEqual(await answer(""), { kind: "unreachable", problem: closed });
  const old = "it speaks no TLS that is safe (1.2 or 1.3)";
  // A ServerHello of TLS 1.1, and the alert of a server that does not know ours.
  const hello =
    "\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x020123456789abcdef0123456789abcdef\x00\x00\x2f\x00";
  assert.deepEqual(await answer(hello), { kind: "untrusted", problem: old });
  assert.deepEqual(await answer("\x15\x03\x01\x00\x02\x02\x46"), { kind: "untrusted", problem: old });
});

test("an encrypted key is opened with its password", OPTIONS, async (t) => {
  const authority = new Authority(t);
  const pair = authority.issue(["DNS:pbx.example.com"]);
  const encrypted = authority.path("encrypted.key");
  const files = { insecure: false, certFile: pair.certFile, keyFile: encrypted };
  const refused = (more, problem) =>
    assert.rejects(readCertificates({ ...files, ...more }), {
      code: "tls_file",
      message: `${encrypted}: ${problem}`,
    });
  for (const how of ["-v2 aes-256-cbc -v2prf hmacWithSHA256", "-v2 aes-128-cbc -v2prf hmacWithSHA1", "-scrypt"]) {
    authority.openssl(`pkcs8 -topk8 -in ${pair.keyFile} -out encrypted.key -passout pass:Grüße ${how}`);
    await readCertificates({ ...files, keyPassword: "Grüße" });
    await refused({ keyPassword: "wrong" }, "its password is wrong");
    await refused({}, "it is encrypted: give its password (--key-password-file)");
  }
});

test("a file that cannot be used is named, before anything is bound", OPTIONS, async (t) => {
  const authority = new Authority(t);
  const [pair, other] = [authority.issue(["DNS:a"]), authority.issue(["DNS:b"])];
  writeFileSync(authority.path("damaged.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  writeFileSync(authority.path("cut.pem"), readFileSync(pair.certFile, "utf8").slice(0, 200));
  const gone = authority.path("gone.pem");
  const damaged = "a certificate in it is damaged, or not in PEM";
  for (const [files, file, problem] of [
    [{ caFile: gone }, gone, "there is no such file"],
    [{ certFile: gone }, gone, "there is no such file"],
    [{ ...pair, keyFile: gone }, gone, "there is no such file"],
    [{ ...pair, clientCaFile: gone }, gone, "there is no such file"],
    [{ ...pair, keyFile: other.keyFile }, other.keyFile, `it is not the key of the certificate in ${pair.certFile}`],
    [{ certFile: pair.certFile }, pair.certFile, "it holds no private key (PEM begins with -----BEGIN PRIVATE KEY-----)"],
    [{ caFile: pair.keyFile }, pair.keyFile, "it holds no certificate (PEM begins with -----BEGIN CERTIFICATE-----)"],
    [{ caFile: authority.path("damaged.pem") }, authority.path("damaged.pem"), damaged],
    [{ caFile: authority.path("cut.pem") }, authority.path("cut.pem"), damaged],
  ]) {
    const opening = opened(t, NodeHost, { tls: { insecure: false, ...files } });
    await assert.rejects(opening, { code: "tls_file", message: `${file}: ${problem}` });
  }
  const both = authority.path("both.pem");
  writeFileSync(both, readFileSync(pair.certFile, "utf8") + readFileSync(pair.keyFile, "utf8"));
  await readCertificates({ certFile: both, insecure: false });
  await assert.rejects(opened(t, NodeHost, { listen: ["TLS"] }), { code: "no_certificate" });
});

test("peers connect over TLS, and show a certificate where one is wanted", OPTIONS, async (t) => {
  const authority = new Authority(t);
  const { caFile } = authority;
  const own = authority.issue(["DNS:pbx.example.com"]);
  for (const clientCaFile of [undefined, caFile]) {
    const tls = { insecure: false, ...own, ...(clientCaFile && { clientCaFile }) };
    const { host, inlet, at } = await opened(t, NodeHost, { listen: ["TLS"], tls });
    const known = authority.issue(["DNS:alice.example.com"]);
    const { port } = at("TLS");
    assert.ok((await ask(t, port, { caFile, ...known })).certificate);
    const [flow, from, local, certificate] = await inlet.next("flowAccepted");
    assert.deepEqual([flow % 8, from.address, local.port], [2, "127.0.0.1", port]);
    assert.deepEqual(certificate?.dnsNames, clientCaFile && ["alice.example.com"]);
    await inlet.next("flowClosed", (closed) => closed === flow);
    const unknown = await ask(t, port, { caFile });
    if (clientCaFile) assert.deepEqual(unknown, { kind: "untrusted", problem: WANTED });
    else assert.ok(unknown.certificate);
    await host.close();
  }
});
