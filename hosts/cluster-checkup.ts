import type { KubernetesHostSpec } from "../recipe/host.ts";
import { amountOf } from "../recipe/kubernetes/config.ts";
import { Cluster } from "./kubernetes-cluster.ts";
import { unlessForbidden } from "./kubernetes-faults.ts";
import { gpuCount } from "./kubernetes-survey.ts";

/** Something that whoever runs `up` must be allowed in the namespace. */
export interface Right {
  readonly verb: string;
  /** With its subresource, as `pods/exec`. */
  readonly resource: string;
  readonly group: string;
}

/** A node with devices of the experiment's kind. */
export interface DeviceNode {
  readonly name: string;
  readonly devices: number;
  /** As NVIDIA's feature discovery says; undefined where it does not run. */
  readonly product: string | undefined;
}

/** What a cluster says of itself; undefined is what the user may not see. */
export interface Checkup {
  readonly context: string;
  readonly server: string;
  /** As `1.37.0`. */
  readonly version: string;
  readonly refused: readonly Right[];
  /** Is the claim there, and how large? In bytes. */
  readonly claimBytes: number | undefined;
  /** Names of the classes, and the default one. */
  readonly classes: { readonly names: readonly string[]; readonly standard: string | undefined } | undefined;
  readonly nodes: { readonly count: number; readonly withDevices: readonly DeviceNode[] } | undefined;
}

/** What `up`, `chat`, `logs` and the others do there (docs/kubernetes.md). */
export const neededRights: readonly Right[] = [
  ...["create", "get", "list", "patch", "delete"].map((verb) => ({ verb, resource: "jobs", group: "batch" })),
  ...["get", "list"].map((verb) => ({ verb, resource: "pods", group: "" })),
  ...["pods/exec", "pods/portforward", "persistentvolumeclaims", "services", "serviceaccounts"].map((resource) => ({
    verb: "create",
    resource,
    group: "",
  })),
  { verb: "list", resource: "events", group: "" },
  { verb: "create", resource: "deployments", group: "apps" },
  { verb: "create", resource: "networkpolicies", group: "networking.k8s.io" },
  { verb: "create", resource: "poddisruptionbudgets", group: "policy" },
];

const standardMark = "storageclass.kubernetes.io/is-default-class";

/** Asks a cluster, by its API alone, whether an experiment can run there. Makes nothing. Throws the Faults of kubernetes-faults.ts. */
export async function checkUp(spec: KubernetesHostSpec): Promise<Checkup> {
  const cluster = await clusterOf(spec);
  try {
    const { context, server } = cluster.where;
    const { rights } = cluster;
    const { gitVersion } = await cluster.ask(cluster.version.getCode());
    const refused: Right[] = [];
    for (const right of neededRights) if (!(await isAllowed(cluster, rights, right))) refused.push(right);
    const [claimBytes, classes, nodes] = await Promise.all([
      claimOf(cluster, spec),
      classesOf(cluster),
      nodesOf(cluster, spec),
    ]);
    return { context, server, version: gitVersion.replace(/^v/, ""), refused, claimBytes, classes, nodes };
  } finally {
    await cluster.close();
  }
}

async function clusterOf(spec: KubernetesHostSpec): Promise<Cluster> {
  const { eks } = spec;
  if (eks === undefined) return Cluster.load(spec);
  const { eksCluster } = await import("./eks.ts");
  return eksCluster({ ...spec, eks });
}

/** What can ask whether the user may do something. */
interface Rights {
  createSelfSubjectAccessReview(request: {
    body: { spec: { resourceAttributes: Readonly<Record<string, string>> } };
  }): Promise<{ status?: { allowed: boolean } }>;
}

async function isAllowed(cluster: Cluster, rights: Rights, { verb, resource: named, group }: Right): Promise<boolean> {
  const { namespace } = cluster.where;
  const [resource = "", subresource = ""] = named.split("/");
  const body = { spec: { resourceAttributes: { namespace, verb, group, resource, subresource } } };
  return (await cluster.ask(rights.createSelfSubjectAccessReview({ body }))).status?.allowed === true;
}

async function claimOf(cluster: Cluster, { claim: name, namespace }: KubernetesHostSpec): Promise<number | undefined> {
  const asked = cluster.find(cluster.core.readNamespacedPersistentVolumeClaim({ name, namespace }));
  const claim = await unlessForbidden(asked);
  const size = claim?.status?.capacity?.["storage"];
  return claim?.status?.phase === "Bound" && size !== undefined ? amountOf(size) : undefined;
}

async function classesOf(cluster: Cluster): Promise<Checkup["classes"]> {
  const listed = await unlessForbidden(cluster.ask(cluster.storage.listStorageClass()));
  if (listed === undefined) return undefined;
  const standard = listed.items.find(({ metadata }) => metadata?.annotations?.[standardMark] === "true");
  return { names: listed.items.map(({ metadata }) => metadata?.name ?? ""), standard: standard?.metadata?.name };
}

async function nodesOf(cluster: Cluster, spec: KubernetesHostSpec): Promise<Checkup["nodes"]> {
  const listed = await unlessForbidden(cluster.ask(cluster.core.listNode()));
  if (listed === undefined) return undefined;
  const withDevices = listed.items.flatMap((node): DeviceNode[] => {
    const { metadata } = node;
    const devices = gpuCount(node, spec);
    const product = metadata?.labels?.["nvidia.com/gpu.product"];
    return devices === 0 ? [] : [{ name: metadata?.name ?? "", devices, product }];
  });
  return { count: listed.items.length, withDevices };
}
