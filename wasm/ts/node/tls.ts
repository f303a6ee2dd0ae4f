// TLS (RFC 8446, RFC 5246) over a connection. Node verifies the chain; whether a certificate names the
// domain that was asked for, the core decides by the rules of SIP (RFC 5922), which are not those of HTTPS.
import type { X509Certificate } from "node:crypto";
import { isIP, type Socket } from "node:net";
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  createServer,
  type PeerCertificate,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from "node:tls";
import type { Identities, TlsFiles } from "../host.js";
import { readCertificates, type Certificates } from "./certificates.js";
import { ConnectFailure } from "./failure.js";
import { identitiesOf } from "./identities.js";
import * as words from "./words.js";

/** An encrypted connection, and whom the certificate of its far end names, if it has shown one. */
export interface Secured {
  readonly socket: TLSSocket;
  readonly certificate?: Identities;
}

/** Both ends of TLS, as the files want them. */
export class Tls {
  /**
   * How long a server is waited for to take our certificate, or the lack of one: it refuses only when the
   * handshake is over for us (RFC 8446 §4.4.2.4), and else goes on with a ticket for the next session.
   */
  static readonly ACCEPTANCE_MS = 500;
  /** How long a client's handshake may take. */
  static readonly HANDSHAKE_MS = 10_000;

  readonly #context: SecureContext;

  private constructor(
    private readonly certificates: Certificates,
    private readonly insecure: boolean,
  ) {
    this.#context = createSecureContext(this.#options(certificates.authorities));
  }

  /** Reads the files. Rejects with `tls_file`. */
  static async load(files: TlsFiles): Promise<Tls> {
    return new Tls(await readCertificates(files), files.insecure);
  }

  /** Whether there is a certificate to show to those who connect. */
  get canAccept(): boolean {
    return this.certificates.own !== undefined;
  }

  /**
   * Shakes hands with a server that was asked for as `name`; with `https` its certificate has to name it by
   * the rules of HTTPS as well. Rejects with a {@link ConnectFailure}.
   */
  async connect(under: Socket, name: string, https: boolean): Promise<Secured> {
    const shows = this.certificates.own !== undefined;
    const host = bare(name);
    const socket = connect({
      socket: under,
      secureContext: this.#context,
      ...(!isIP(host) && { servername: host }),
      // The chain is looked at in `#trust`, where the sentence for it is found; nothing is sent before.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    // Each step listens too; this is for the time between them.
    socket.on("error", () => {});
    try {
      await secured(socket);
      const certificate = this.#trust(socket, host, https);
      if (socket.getProtocol() === "TLSv1.3") await this.#acceptance(socket);
      return { socket, ...(certificate && { certificate }) };
    } catch (error) {
      socket.destroy();
      throw error instanceof ConnectFailure ? error : words.ofServer(error as Error, host, shows);
    }
  }

  /** A server that shows our certificate, and wants one of each client if there are authorities for them. */
  server(): Server {
    const { clientAuthorities } = this.certificates;
    return createServer({
      ...this.#options(clientAuthorities),
      handshakeTimeout: Tls.HANDSHAKE_MS,
      requestCert: clientAuthorities !== undefined,
      rejectUnauthorized: clientAuthorities !== undefined,
      noDelay: true,
    });
  }

  /** Whom a server's certificate names, if the server is trusted. */
  #trust(socket: TLSSocket, host: string, https: boolean): Identities | undefined {
    const certificate = socket.getPeerX509Certificate();
    if (this.insecure) return certificate && identitiesOf(certificate);
    if (!socket.authorized || !certificate) {
      // The types say Error; it is the name of the reason.
      throw words.ofCertificate(String(socket.authorizationError), certificate);
    }
    if (https && !isNamed(certificate, host)) throw words.ofName(host, certificate);
    return identitiesOf(certificate);
  }

  /** Waits until a server has taken or refused our certificate. */
  #acceptance(socket: TLSSocket): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        clearTimeout(timer);
        socket.off("session", ticket).off("readable", taken).off("error", refused).off("close", closed);
        end();
      };
      const taken = () => settle(resolve);
      // The event comes from within OpenSSL's reading: what is written before that is over, it garbles.
      const ticket = () => setImmediate(taken);
      const refused = (error: Error) => settle(() => reject(error));
      const closed = () => refused(Object.assign(new Error("closed"), { code: "ECONNRESET" }));
      const timer = setTimeout(taken, Tls.ACCEPTANCE_MS);
      socket.on("session", ticket).on("readable", taken).on("error", refused).on("close", closed);
    });
  }

  #options(authorities: readonly string[] | undefined): SecureContextOptions {
    const { own } = this.certificates;
    return {
      minVersion: "TLSv1.2",
      // A certificate that was named itself is trusted, whoever has signed it.
      allowPartialTrustChain: true,
      ...(authorities && { ca: [...authorities] }),
      ...(own && { cert: own.chain, key: own.key }),
    };
  }
}

/** Resolves when the handshake of a client is over. */
function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = () => reject(Object.assign(new Error("closed"), { code: "ECONNRESET" }));
    socket.once("secureConnect", () => {
      socket.off("error", reject).off("close", closed);
      resolve();
    });
    socket.on("error", reject).on("close", closed);
  });
}

/** Whether a certificate names a server as HTTPS wants it (RFC 2818 §3.1): not by its common name. */
function isNamed(certificate: X509Certificate, host: string): boolean {
  const { dnsNames, addresses } = identitiesOf(certificate);
  if (dnsNames.length === 0 && addresses.length === 0) return false;
  return checkServerIdentity(host, certificate.toLegacyObject() as PeerCertificate) === undefined;
}

/** An address without its brackets, a name without the dot at its end. */
const bare = (name: string): string => name.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
