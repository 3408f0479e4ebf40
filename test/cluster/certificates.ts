import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";

/** Who may log in to a cluster, each with a token of its own: name, id and group of the user. */
const accounts = {
  admin: "admin,admin,system:masters",
  controllers: "system:kube-controller-manager,controllers",
  scheduler: "system:kube-scheduler,scheduler",
  node: "system:node:node,node,system:nodes",
} as const;

export type Account = keyof typeof accounts;

/** Keys, certificates and tokens of one cluster, in a folder of its own. */
export interface Credentials {
  readonly folder: string;
  /** Path of a file of it: `apiserver.crt`, `accounts.csv`. */
  readonly file: (name: string) => string;
  /** Its certificate authority, PEM. */
  readonly authority: string;
  /** Writes the kubeconfig of an account for a server; its path. */
  writeKubeconfig(account: Account, server: string, name?: string): Promise<string>;
}

const served = {
  apiserver: "IP:127.0.0.1,IP:10.96.0.1,IP:10.99.0.1,DNS:localhost,DNS:kubernetes.default.svc",
  webhook: "IP:127.0.0.1,DNS:localhost",
};

/** Makes those of a new cluster with openssl. */
export async function makeCredentials(folder: string): Promise<Credentials> {
  await mkdir(folder, { mode: 0o700 });
  const file = (name: string): string => join(folder, name);
  const openssl = (...words: string[]) => execa("openssl", words, { cwd: folder });
  const key = (name: string) => openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", `${name}.key`);
  await key("authority");
  const authority = ["-key", "authority.key", "-subj", "/CN=tuneup-cluster", "-days", "30", "-out", "authority.crt"];
  await openssl("req", "-x509", "-new", ...authority);
  const certify = async (name: string, subject: string, extension: string): Promise<void> => {
    await key(name);
    await openssl("req", "-new", "-key", `${name}.key`, "-subj", subject, "-out", `${name}.csr`);
    await writeFile(file(`${name}.ext`), extension);
    const by = ["-CA", "authority.crt", "-CAkey", "authority.key", "-CAcreateserial", "-days", "30"];
    await openssl("x509", "-req", "-in", `${name}.csr`, ...by, "-extfile", `${name}.ext`, "-out", `${name}.crt`);
  };
  for (const [name, names] of Object.entries(served)) await certify(name, `/CN=${name}`, `subjectAltName=${names}`);
  await certify("kubelet-client", "/O=system:masters/CN=kubelet-client", "extendedKeyUsage=clientAuth");
  await key("service-accounts");
  await openssl("ec", "-in", "service-accounts.key", "-pubout", "-out", "service-accounts.pub");
  const tokens = Object.entries(accounts).map(([name, of]) => ({ name, of, token: randomBytes(24).toString("hex") }));
  const lines = tokens.map(({ token, of }) => `${token},${of}`);
  await writeFile(file("accounts.csv"), `${lines.join("\n")}\n`, { mode: 0o600 });
  const certificate = await readFile(file("authority.crt"), "utf8");
  return {
    ...{ folder, file, authority: certificate },
    writeKubeconfig: async (account, server, name: string = account) => {
      const token = tokens.find((one) => one.name === account)?.token;
      const path = file(`${name}.kubeconfig`);
      await writeFile(path, JSON.stringify(kubeconfig(server, certificate, token ?? "")), { mode: 0o600 });
      return path;
    },
  };
}

/** JSON is YAML. */
function kubeconfig(server: string, authority: string, token: string): object {
  const cluster = { server, "certificate-authority-data": Buffer.from(authority).toString("base64") };
  return {
    ...{ apiVersion: "v1", kind: "Config" },
    clusters: [{ name: "tuneup-test", cluster }],
    users: [{ name: "tuneup-test", user: { token } }],
    contexts: [{ name: "tuneup-test", context: { cluster: "tuneup-test", user: "tuneup-test" } }],
    "current-context": "tuneup-test",
  };
}
