import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Fault } from "../recipe/fault.ts";

/** A certificate and its private key as the files of this machine have them (PEM), and the certificate's SHA-256. */
export interface GivenCertificate {
  readonly certificate: string;
  readonly key: string;
  readonly fingerprint: string;
}

/** Reads `serve.tls` where it names files of this machine. Throws Fault where they are no pair that can serve now. */
export async function readGivenCertificate(paths: {
  readonly certificate: string;
  readonly key: string;
}): Promise<GivenCertificate> {
  const certificate = await textOf(paths.certificate, "certificate");
  const key = await textOf(paths.key, "key");
  const parsed = understood(() => new X509Certificate(certificate), "certificate", paths.certificate);
  // A key that needs a passphrase is refused here too.
  const privateKey = understood(() => createPrivateKey(key), "key", paths.key);
  if (!parsed.checkPrivateKey(privateKey)) {
    throw fault("key", `${paths.key} is not the private key of ${paths.certificate}.`);
  }
  if (new Date(parsed.validTo).getTime() <= Date.now()) {
    throw fault("certificate", `${paths.certificate} has expired (${parsed.validTo}).`);
  }
  return { certificate, key, fingerprint: parsed.fingerprint256 };
}

async function textOf(path: string, what: "certificate" | "key"): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    throw fault(what, `${path} can't be read (${(thrown as NodeJS.ErrnoException).code ?? "unknown reason"}).`);
  }
}

function understood<T>(read: () => T, what: "certificate" | "key", path: string): T {
  try {
    return read();
  } catch {
    // The reason may quote the file.
    const needed = what === "certificate" ? "a certificate" : "a private key without a passphrase";
    throw fault(what, `${path} is not ${needed} in PEM.`);
  }
}

function fault(what: "certificate" | "key", message: string): Fault {
  const next = "Give a pair of PEM files, or `self-signed` for one that the host makes.";
  return new Fault({ code: "certificate-unfit", property: `serve.tls.${what}`, message, next });
}
