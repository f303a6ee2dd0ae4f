// Certificates and private keys in files, in PEM: read and checked before anything is opened.
import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { OffhookError } from "../errors.js";
import type { TlsFiles } from "../host.js";

/** What the files hold. */
export interface Certificates {
  /** The authorities of servers; without them those of the system. */
  readonly authorities?: readonly string[];
  /** The authorities of those who connect to us. */
  readonly clientAuthorities?: readonly string[];
  readonly own?: { readonly chain: string; readonly key: string };
}

/** Reads them all. Rejects with `tls_file`: which file, and what is wrong with it. */
export async function readCertificates(files: TlsFiles): Promise<Certificates> {
  const authorities = files.caFile && (await certificatesIn(files.caFile));
  const own = files.certFile && (await ownOf(files.certFile, files));
  const clientAuthorities = files.clientCaFile && (await certificatesIn(files.clientCaFile));
  return {
    ...(authorities && { authorities }),
    ...(own && { own }),
    ...(clientAuthorities && { clientAuthorities }),
  };
}

async function ownOf(certFile: string, files: TlsFiles): Promise<{ chain: string; key: string }> {
  const chain = await certificatesIn(certFile);
  const keyFile = files.keyFile ?? certFile;
  const key = privateKey(keyFile, await textOf(keyFile), files.keyPassword);
  if (!new X509Certificate(chain[0] ?? "").checkPrivateKey(key)) {
    throw unusable(keyFile, `it is not the key of the certificate in ${certFile}`);
  }
  return { chain: chain.join(""), key: key.export({ type: "pkcs8", format: "pem" }) as string };
}

/** All certificates of a file; never none. */
async function certificatesIn(path: string): Promise<string[]> {
  const text = await textOf(path);
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]*(-----END CERTIFICATE-----)?\n?/g) ?? [];
  if (found.length === 0) {
    throw unusable(path, "it holds no certificate (PEM begins with -----BEGIN CERTIFICATE-----)");
  }
  for (const certificate of found) {
    try {
      new X509Certificate(certificate);
    } catch (cause) {
      throw unusable(path, "a certificate in it is damaged, or not in PEM", cause);
    }
  }
  return found;
}

function privateKey(path: string, text: string, password: string | undefined): KeyObject {
  if (!/-----BEGIN ([A-Z]+ )*PRIVATE KEY-----/.test(text)) {
    throw unusable(path, "it holds no private key (PEM begins with -----BEGIN PRIVATE KEY-----)");
  }
  const isEncrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(text);
  if (isEncrypted && password === undefined) {
    throw unusable(path, "it is encrypted: give its password (--key-password-file)");
  }
  try {
    return createPrivateKey({ key: text, ...(isEncrypted && { passphrase: password }) });
  } catch (cause) {
    if (!isEncrypted) throw unusable(path, "the private key in it is damaged, or not in PEM", cause);
    if (/UNSUPPORTED/.test((cause as NodeJS.ErrnoException).code ?? "")) {
      const way = "openssl pkcs8 -topk8 -v2 aes256 -in OLD -out NEW";
      const problem = `it is damaged, or encrypted in a way not known here; make it a new one: ${way}`;
      throw unusable(path, problem, cause);
    }
    throw unusable(path, "its password is wrong", cause);
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "latin1");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw unusable(path, code === "ENOENT" ? "there is no such file" : message, cause);
  }
}

const unusable = (path: string, problem: string, cause?: unknown): OffhookError =>
  new OffhookError("tls_file", `${path}: ${problem}`, { cause });
