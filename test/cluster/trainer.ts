import { copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { z } from "zod";
import { until } from "../agent/runs/harness.ts";
import type { Credentials } from "./certificates.ts";
import type { Kubectl } from "./door.ts";
import type { Namespace } from "./namespace.ts";
import { network } from "./parts.ts";
import type { Programs } from "./programs.ts";

/** What of a webhook's registration is changed here. */
const registration = z.looseObject({
  metadata: z.looseObject({ name: z.string() }),
  webhooks: z.array(
    z.looseObject({
      clientConfig: z.looseObject({ service: z.looseObject({ path: z.string() }) }),
      rules: z.array(z.looseObject({ resources: z.array(z.string()) })),
    }),
  ),
});

/** Installs JobSet and Kubeflow Trainer. Their controllers are a process of the node, with the API as `kubectl` sees it. */
export async function installTrainer(
  namespace: Namespace,
  programs: Programs,
  credentials: Credentials,
  kubectl: Kubectl,
): Promise<void> {
  const crds = join(programs.manifests, "crds");
  await kubectl(["apply", "--server-side", `--filename=${crds}`]);
  await kubectl(["wait", "--for=condition=Established", "--timeout=60s", `--filename=${crds}`]);
  const certificates = join(credentials.folder, "webhook");
  await mkdir(certificates, { recursive: true, mode: 0o700 });
  await copyFile(credentials.file("webhook.crt"), join(certificates, "tls.crt"));
  await copyFile(credentials.file("webhook.key"), join(certificates, "tls.key"));
  const kubeconfig = await credentials.writeKubeconfig("admin", network.api);
  const words = ["env", `KUBECONFIG=${kubeconfig}`, programs.controllers, "trainer", certificates];
  const { alive, log } = await namespace.start("trainer", words);
  await kubectl(["apply", "--filename=-"], await webhooks(programs.manifests, credentials.authority));
  await until(async () => {
    if (!alive()) throw new Error(`The controllers of Trainer have ended: ${await readFile(log, "utf8")}`);
    return (await readFile(log, "utf8")).includes("Serving webhook server");
  });
}

/** The registrations of the modules, with the address that the webhooks have here. */
async function webhooks(manifests: string, authority: string): Promise<string> {
  const folder = join(manifests, "webhooks");
  const documents: string[] = [];
  for (const file of await readdir(folder))
    for (const document of parseAllDocuments(await readFile(join(folder, file), "utf8"))) {
      const { metadata, webhooks, ...rest } = registration.parse(document.toJS());
      const name = `${file.replace(".yaml", "")}-${metadata.name}`;
      documents.push(stringify({ ...rest, metadata: { ...metadata, name }, webhooks: webhooks.map(here(authority)) }));
    }
  return documents.join("---\n");
}

type Webhook = z.infer<typeof registration>["webhooks"][number];

const here =
  (authority: string) =>
  ({ clientConfig: { service }, rules, ...rest }: Webhook): object => ({
    ...{ ...rest, rules },
    clientConfig: { url: `https://127.0.0.1:9443${service.path}`, caBundle: Buffer.from(authority).toString("base64") },
    // JobSet's own Pods alone: others must start also while its controller is away.
    ...(rules.some(({ resources }) => resources.includes("pods"))
      ? { objectSelector: { matchExpressions: [{ key: "jobset.sigs.k8s.io/jobset-name", operator: "Exists" }] } }
      : {}),
  });
