import type { KubernetesObject } from "./objects.ts";
import type { Settings } from "./settings.ts";

const selector = ["spec.selector"];
const always = ["metadata.name", "metadata.namespace"];

/** Fields that the API server refuses to change, by kind, as the official provider lists them (provider/pkg/provider/diff.go). */
const fields: Readonly<Record<string, readonly string[]>> = {
  "apps/v1/DaemonSet": selector,
  "apps/v1/Deployment": selector,
  "apps/v1/StatefulSet": [
    ...selector,
    "spec.podManagementPolicy",
    "spec.revisionHistoryLimit",
    "spec.serviceName",
    "spec.volumeClaimTemplates",
  ],
  "batch/v1/Job": ["spec.completions", "spec.parallelism", "spec.selector", "spec.template"],
  "rbac.authorization.k8s.io/v1/ClusterRoleBinding": ["roleRef"],
  "rbac.authorization.k8s.io/v1/RoleBinding": ["roleRef"],
  "storage.k8s.io/v1/StorageClass": ["parameters", "provisioner"],
  "v1/PersistentVolume": ["spec.csi", "spec.hostPath", "spec.local", "spec.nfs"],
  "v1/PersistentVolumeClaim": ["spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"],
  "v1/Pod": ["spec"],
  "v1/ResourceQuota": ["spec.scopes"],
  "v1/Secret": ["type"],
  "v1/Service": ["spec.clusterIP"],
};

/** The few fields of a Pod's spec that can change in place. */
const mutableInPods = ["spec.activeDeadlineSeconds", "spec.tolerations"];

/** Does a change at `path` (names, and indices of lists) make a new object? */
export function isReplacedBy(
  path: readonly (string | number)[],
  object: KubernetesObject,
  settings: Settings,
): boolean {
  const plain = path.filter((part) => typeof part === "string").join(".");
  const within = (field: string): boolean => plain === field || plain.startsWith(`${field}.`);
  if (object.kind === "Pod" && mutableInPods.some(within)) return false;
  return [...always, ...fieldsOf(object, settings)].some(within);
}

function fieldsOf(object: KubernetesObject, settings: Settings): readonly string[] {
  const listed = fields[`${object.apiVersion}/${object.kind}`] ?? [];
  if (object.apiVersion !== "v1") return listed;
  const immutable = object["immutable"] === true;
  if (object.kind === "ConfigMap" && (immutable || !settings.mutableConfigMaps)) return ["data", "binaryData"];
  if (object.kind === "Secret" && (immutable || !settings.mutableSecrets)) return [...listed, "data", "stringData"];
  return listed;
}
