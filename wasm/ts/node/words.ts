// What is wrong in a TLS handshake: the sentences of the native host (native/src/tls/words.rs).
import type { X509Certificate } from "node:crypto";
import { identitiesOf } from "./identities.js";
import { systemFailure, unreachable, untrusted, type ConnectFailure } from "./failure.js";

const UNTRUSTED_ISSUER =
  "its certificate is self-signed, or signed by an authority that is not trusted here (give --ca-file)";
const AUTHORITY_ITSELF =
  "its certificate is that of an authority, as self-signed ones often are, and is not trusted here (give --ca-file)";
const NO_SAFE_TLS = "it speaks no TLS that is safe (1.2 or 1.3)";
const WANTS_CERTIFICATE = "it asks for a certificate: give --cert-file and --key-file";

/** Why the certificate of a peer is not trusted; `code` is what Node calls the reason. */
export function ofCertificate(code: string, certificate: X509Certificate | undefined): ConnectFailure {
  if (!certificate) return untrusted("it has presented no certificate");
  return untrusted(certificateProblem(code, certificate));
}

function certificateProblem(code: string, certificate: X509Certificate): string {
  const { validFrom, validTo } = certificate;
  switch (code) {
    case "CERT_HAS_EXPIRED":
      return new Date(validTo) < new Date()
        ? `its certificate expired on ${date(validTo)}`
        : "the certificate of an authority between has expired";
    case "CERT_NOT_YET_VALID":
      return new Date(validFrom) > new Date()
        ? `its certificate is valid from ${date(validFrom)} only (is the clock right?)`
        : "the certificate of an authority between is not valid yet (is the clock right?)";
    case "CERT_REVOKED":
      return "its certificate was revoked";
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "CERT_UNTRUSTED":
      return certificate.ca ? AUTHORITY_ITSELF : UNTRUSTED_ISSUER;
    case "CERT_SIGNATURE_FAILURE":
      return "its certificate is signed wrongly";
    case "INVALID_PURPOSE":
      return "its certificate is not one for this end of TLS (extendedKeyUsage)";
    default:
      return `its certificate is not valid: ${code}`;
  }
}

/** A certificate that does not name `name` as HTTPS wants it (RFC 2818 §3.1). */
export function ofName(name: string, certificate: X509Certificate): ConnectFailure {
  const { dnsNames, addresses } = identitiesOf(certificate);
  const named = [...dnsNames, ...addresses].join(", ");
  return untrusted(
    named
      ? `its certificate is for ${named}, not ${name}`
      : `its certificate has no DNS name and no address, as HTTPS wants it: not ${name}`,
  );
}

/** Why a handshake with a server that was asked for as `name` failed; `shows` is whether we have a certificate. */
export function ofServer(error: NodeJS.ErrnoException, name: string, shows: boolean): ConnectFailure {
  const code = error.code ?? "";
  const alert = /ALERT_(\w+)$/.exec(code)?.[1];
  if (alert) return untrusted(alertProblem(alert, name, shows), error);
  if (code === "ECONNRESET" || code === "EPIPE") {
    return unreachable("it closed the connection in the TLS handshake (does it speak TLS there?)", error);
  }
  if (isNoTls(code)) return untrusted("it speaks no TLS there (is the port right?)", error);
  if (isOldTls(code)) return untrusted(NO_SAFE_TLS, error);
  if (!code.startsWith("ERR_SSL_")) return systemFailure(error);
  return untrusted(`the TLS handshake failed: ${reason(error)}`, error);
}

/** Why a handshake with a client failed. */
export function ofClient(error: NodeJS.ErrnoException): ConnectFailure {
  const code = error.code ?? "";
  const alert = /ALERT_(\w+)$/.exec(code)?.[1];
  if (alert) return untrusted(`it refused our certificate (${camelCase(alert)})`, error);
  if (code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") {
    return untrusted("it has presented no certificate", error);
  }
  if (isNoTls(code)) return untrusted("it speaks no TLS", error);
  if (isOldTls(code)) return untrusted(NO_SAFE_TLS, error);
  if (!code.startsWith("ERR_SSL_")) return systemFailure(error);
  return untrusted(`the TLS handshake failed: ${reason(error)}`, error);
}

/** What the server says is wrong with us (RFC 8446 §6). */
function alertProblem(alert: string, name: string, shows: boolean): string {
  switch (alert) {
    case "PROTOCOL_VERSION":
      return NO_SAFE_TLS;
    case "UNRECOGNIZED_NAME":
      return `it does not know the name ${name}`;
    case "CERTIFICATE_REQUIRED":
      return WANTS_CERTIFICATE;
    case "UNKNOWN_CA":
      return "it does not trust the authority of our certificate";
    case "CERTIFICATE_EXPIRED":
      return "it says that our certificate has expired";
    case "CERTIFICATE_REVOKED":
      return "it says that our certificate was revoked";
    case "HANDSHAKE_FAILURE":
    case "INSUFFICIENT_SECURITY":
      // TLS 1.2 has no alert of its own for a certificate that is missing.
      return shows
        ? "it has no cipher in common with us"
        : "it has no cipher in common with us, or asks for a certificate (give --cert-file and --key-file)";
    default:
      return shows
        ? `it refused our certificate (${camelCase(alert)})`
        : `it refused the TLS handshake (${camelCase(alert)})`;
  }
}

/** Bytes that are no TLS, or such as no version of it has. */
const isNoTls = (code: string): boolean =>
  /_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|HTTPS_PROXY_REQUEST|BAD_PACKET_LENGTH|DATA_LENGTH_TOO_LONG|NOT_TLS)$/.test(
    code,
  );

const isOldTls = (code: string): boolean =>
  /_(UNSUPPORTED_PROTOCOL|UNSUPPORTED_SSL_VERSION|NO_PROTOCOLS_AVAILABLE|VERSION_TOO_LOW)$/.test(code);

const reason = (error: Error): string => (error as { reason?: string }).reason ?? error.message;

/** `UNKNOWN_CA` is `UnknownCa`. */
const camelCase = (words: string): string =>
  words.toLowerCase().replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());

/** `2 May 2026`, in UTC. */
function date(time: string): string {
  const options = { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" } as const;
  return new Date(time).toLocaleDateString("en-GB", options);
}
