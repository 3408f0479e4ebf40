import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Fault } from "../../recipe/fault.ts";
import type { Layout } from "../../recipe/layout.ts";
import type { EndpointSpec } from "../../recipe/protocol.ts";
import { isMissing, writeAtomically } from "../files.ts";
import { childEnvironment } from "../processes.ts";

/** A certificate (or chain, the endpoint's own first) and its private key, PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** The longest that every client takes. */
const days = 825;
/** One with less left is made anew. */
const daysLeft = 30;

function filesOf(layout: Layout, { experiment, tls }: EndpointSpec): KeyPair {
  const name = `${layout.endpoint(experiment).directory}/${tls === "self-signed" ? "self-signed" : "given"}`;
  return { certificate: `${name}.crt`, key: `${name}.key` };
}

/** The pair that an endpoint is to be served with; undefined if it is not there, or the spec wants plain http. */
export async function readPair(layout: Layout, spec: EndpointSpec): Promise<KeyPair | undefined> {
  if (spec.tls === undefined) return undefined;
  const files = filesOf(layout, spec);
  try {
    const [certificate, key] = await Promise.all([readFile(files.certificate, "utf8"), readFile(files.key, "utf8")]);
    return { certificate, key };
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

/** The certificate that clients pin, with its SHA-256; nothing where it is plain http. */
export async function certificateFacts(layout: Layout, spec: EndpointSpec) {
  const pair = await readPair(layout, spec);
  const fingerprint = pair === undefined ? undefined : parsed(pair.certificate)?.fingerprint256;
  return pair === undefined || fingerprint === undefined ? {} : { certificate: pair.certificate, fingerprint };
}

/** Sees to it that the pair lies there (0600): the given one, or one of the host's own, made once. True if it is a new one. */
export async function ensureCertificate(layout: Layout, spec: EndpointSpec, given?: KeyPair): Promise<boolean> {
  if (spec.tls === undefined) return false;
  const before = await readPair(layout, spec);
  const { tls } = spec;
  if (tls !== "self-signed") {
    if (before !== undefined && isGiven(before, tls.certificate)) return false;
    if (given === undefined || !isGiven(given, tls.certificate)) throw notGiven();
    await writePair(filesOf(layout, spec), given);
    return true;
  }
  if (before !== undefined && stillFits(before, spec.host)) return false;
  await writePair(filesOf(layout, spec), await makePair(layout, spec));
  return true;
}

/** The certificate last: with it the pair counts. */
async function writePair(files: KeyPair, pair: KeyPair): Promise<void> {
  await writeAtomically(files.key, pair.key);
  await writeAtomically(files.certificate, pair.certificate);
}

function parsed(certificate: string): X509Certificate | undefined {
  try {
    return new X509Certificate(certificate);
  } catch {
    return undefined;
  }
}

/** Is it time for another one? */
export function endsSoon(certificate: string): boolean {
  const end = parsed(certificate)?.validTo;
  return end === undefined || new Date(end).getTime() - Date.now() < daysLeft * 86_400_000;
}

function belong({ certificate, key }: KeyPair): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function isGiven(pair: KeyPair, fingerprint: string): boolean {
  return parsed(pair.certificate)?.fingerprint256 === fingerprint && belong(pair);
}

function notGiven(): Fault {
  return new Fault({
    code: "certificate-missing",
    property: "serve.tls",
    message: "the certificate that the endpoint was declared with did not come with its private key.",
    next: "Run `npx tuneup up` again on the machine that has both files.",
  });
}

function stillFits(pair: KeyPair, host: string): boolean {
  const certificate = parsed(pair.certificate);
  if (certificate === undefined || !belong(pair)) return false;
  if (endsSoon(pair.certificate)) return false;
  if (isWildcard(host) || !canBeNamed(host)) return true;
  return (isIP(host) > 0 ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined;
}

const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::";

/** OpenSSL's settings give other characters a meaning of their own. */
const canBeNamed = (host: string): boolean => (isIP(host) > 0 ? !host.includes("%") : /^[\w.-]+$/.test(host));

/** Names that clients may use: the bound one, or all of this machine's; and those of a tunnel's end. */
function namesFor(host: string): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  const bound = isWildcard(host) ? [hostname(), ...all] : [host];
  return [...new Set([...bound, "localhost", "127.0.0.1", "::1"])].filter(canBeNamed);
}

async function makePair(layout: Layout, { experiment, host }: EndpointSpec): Promise<KeyPair> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const folder = await mkdtemp(join(layout.endpoint(experiment).directory, "making-certificate-"));
  try {
    const [keyFile, settings] = [join(folder, "key"), join(folder, "settings")];
    await writeFile(keyFile, key, { mode: 0o600 });
    await writeFile(settings, settingsFor(namesFor(host)));
    // Settings of our own: the machine's may ask questions, and would make it an authority.
    const words = ["req", "-x509", "-new", "-sha256", "-days", String(days), "-key", keyFile, "-config", settings];
    const { stdout } = await promisify(execFile)("openssl", words, { env: childEnvironment(), timeout: 30_000 });
    return { certificate: stdout, key };
  } catch (thrown) {
    throw openSslFault(thrown as NodeJS.ErrnoException & { stderr?: string });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function settingsFor(names: readonly string[]): string {
  const alternatives = names.map((name, index) => `${isIP(name) > 0 ? "IP" : "DNS"}.${index + 1} = ${name}`);
  return `[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = tuneup
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = @names
[names]
${alternatives.join("\n")}
`;
}

function openSslFault(thrown: NodeJS.ErrnoException & { stderr?: string }): Fault {
  const instead = "or set `serve.tls` to a certificate and key of your own, or `serve.host` to 127.0.0.1";
  if (thrown.code === "ENOENT") {
    return new Fault({
      code: "openssl-missing",
      property: "serve.tls",
      message: "this host has no `openssl`, which makes the endpoint's certificate.",
      next: `Install openssl there, ${instead}.`,
    });
  }
  const said = thrown.stderr?.trim().split("\n").at(-1) ?? thrown.message;
  return new Fault({
    code: "certificate-failed",
    property: "serve.tls",
    message: `openssl could not make the endpoint's certificate: ${said}`,
    next: `Repair openssl on this host, ${instead}.`,
    blame: "infrastructure",
  });
}
