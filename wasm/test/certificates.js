// Certificates, made by openssl for one test.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CA = "basicConstraints=critical,CA:TRUE";

/** A directory with an authority, `ca.pem`, and what it has signed. */
export class Authority {
  #count = 0;

  constructor(t, name = "ca") {
    this.directory = mkdtempSync(join(tmpdir(), "offhook-certificates-"));
    t.after(() => rmSync(this.directory, { recursive: true }));
    this.caFile = this.path("ca.pem");
    this.openssl(`req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=${name}
      -keyout ca.key -out ca.pem`);
  }

  path(name) {
    return join(this.directory, name);
  }

  openssl(line, input) {
    const words = Array.isArray(line) ? line : line.trim().split(/\s+/);
    return execFileSync("openssl", words, { cwd: this.directory, input, stdio: ["pipe", "pipe", "pipe"] });
  }

  /**
   * A certificate for `names`, as openssl writes them (`DNS:localhost`); its file and that of its key.
   * `usage` is what it may be used for, `dates` are the first and the last second of it, `by` is another's
   * name below which it stands; without an `issuer` it has signed itself, and with `canSign` it may sign.
   */
  issue(names, { subject = "/O=test", usage, dates, issuer = "ca", canSign = false } = {}) {
    const name = String((this.#count += 1));
    const extensions = [
      names.length > 0 && `subjectAltName=${names.join(",")}`,
      usage && `extendedKeyUsage=${usage}`,
      canSign && CA,
    ].filter(Boolean);
    this.openssl(`req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj ${subject}
      -keyout ${name}.key -out ${name}.csr`);
    writeFileSync(this.path(`${name}.ext`), `${extensions.join("\n")}\n`);
    const signs = issuer ? [issuer, `${issuer}.key`] : [undefined, `${name}.key`];
    this.#sign(name, signs, dates);
    return { certFile: this.path(`${name}.pem`), keyFile: this.path(`${name}.key`), name };
  }

  /** `openssl x509` knows days from now alone; `openssl ca` knows dates. */
  #sign(name, [issuer, key], [first, last] = []) {
    writeFileSync(this.path("index"), "");
    writeFileSync(
      this.path("ca.cnf"),
      `[ca]\ndefault_ca=own\n[own]\ndatabase=index\nrand_serial=yes\npolicy=any\ndefault_md=sha256\n` +
        `unique_subject=no\nnew_certs_dir=.\nemail_in_dn=no\n[any]\nO=optional\nCN=optional\n`,
    );
    const who = issuer ? ["-cert", `${issuer}.pem`, "-keyfile", key] : ["-selfsign", "-keyfile", key];
    const dates = first ? ["-startdate", first, "-enddate", last] : ["-days", "30"];
    const files = ["-in", `${name}.csr`, "-out", `${name}.pem`, "-extfile", `${name}.ext`];
    this.openssl(["ca", "-batch", "-notext", "-config", "ca.cnf", ...who, ...dates, ...files]);
  }
}
