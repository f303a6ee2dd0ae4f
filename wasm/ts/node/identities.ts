// Whom a certificate names (RFC 5922 §7.1). Whether that is whom we asked for, the core decides.
import type { X509Certificate } from "node:crypto";
import type { Identities } from "../host.js";

/** Reads the identities of a certificate whose chain is trusted. */
export function identitiesOf(certificate: X509Certificate): Identities {
  const { subjectAltName } = certificate;
  if (subjectAltName === undefined) {
    const name: string | string[] | undefined = certificate.toLegacyObject().subject?.CN;
    const [commonName] = [name].flat();
    return { uris: [], dnsNames: [], addresses: [], ...(commonName !== undefined && { commonName }) };
  }
  const names = alternatives(subjectAltName);
  const of = (kind: string) => names.filter((name) => name.kind === kind).map(({ value }) => value);
  return { uris: of("URI"), dnsNames: of("DNS"), addresses: of("IP Address") };
}

/**
 * The names in the text that Node makes of subjectAltName: `DNS:a.example, IP Address:192.0.2.7`. A value
 * with a character that could be taken for the end of it stands there as a JSON string.
 */
export function alternatives(text: string): { kind: string; value: string }[] {
  const names = text.matchAll(/([^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy);
  return Array.from(names, ([, kind = "", value = ""]) => ({
    kind,
    value: value.startsWith('"') ? (JSON.parse(value) as string) : value,
  }));
}
