import type { Kubectl } from "./door.ts";
import type { Namespace } from "./namespace.ts";

/** The folder on this machine that is the volume of a claim. Waits until it is bound. */
export async function folderOf(
  { folder }: Namespace,
  kubectl: Kubectl,
  namespace: string,
  claim: string,
): Promise<string> {
  return (await placeOf(kubectl, namespace, claim)).replace("/tmp/", `${folder}/`);
}

/** The same folder with what is laid over it inside the cluster. */
export async function insideOf(
  { pid }: Namespace,
  kubectl: Kubectl,
  namespace: string,
  claim: string,
): Promise<string> {
  return `/proc/${pid}/root${await placeOf(kubectl, namespace, claim)}`;
}

/** Lays a file system of a size over the folder, or one below it, inside the cluster; one that lies there gets the size. */
export async function limitVolume(
  { run }: Namespace,
  kubectl: Kubectl,
  namespace: string,
  claim: string,
  megabytes: number,
  below = "",
): Promise<void> {
  const place = `${await placeOf(kubectl, namespace, claim)}/${below}`.replace(/\/$/, "");
  await run(["mkdir", "-p", place]);
  const isThere = (await run(["cat", "/proc/mounts"])).includes(`tuneup-cluster ${place} `);
  if (isThere) await run(["mount", "-o", `remount,size=${megabytes}m`, place]);
  else await run(["mount", "-t", "tmpfs", "-o", `size=${megabytes}m,mode=777`, "tuneup-cluster", place]);
}

/** Where it is inside. */
async function placeOf(kubectl: Kubectl, namespace: string, claim: string): Promise<string> {
  const inNamespace = `--namespace=${namespace}`;
  await kubectl(["wait", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s", inNamespace, `pvc/${claim}`]);
  const name = await kubectl(["get", inNamespace, `pvc/${claim}`, "--output=jsonpath={.spec.volumeName}"]);
  return kubectl(["get", `pv/${name}`, "--output=jsonpath={.spec.hostPath.path}"]);
}
