import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { execa } from "execa";
import { parseDocument } from "yaml";
import { environmentLock, environmentName } from "../../agent/environment/identity.ts";
import { makeTestHome, sharedHome, type TestHome } from "../fixtures/home.ts";
import { makeTestProject, type TestProject } from "../fixtures/project.ts";
import { commandsIn, type Commands } from "../fixtures/tuneup.ts";
import { useStandIn } from "../providers/use.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { imageNames, pythonImage } from "./images.ts";

/** How many nodes may mount a volume. */
export type AccessMode = "ReadWriteOnce" | "ReadWriteMany";

/** A cluster with the test image, and a copy of the project whose commands mean it. */
export interface Stage {
  readonly cluster: Cluster;
  readonly project: TestProject;
  readonly home: TestHome;
  readonly run: Commands;
  /** The test image as an experiment names it, by its digest. */
  readonly image: string;
  remove(): Promise<void>;
}

const environmentFolder = `${sharedHome}/env/${environmentName(environmentLock(), "cpu")}`;

/** Opens one. Pods reach nothing outside, so that the Python environment is placed beside (`placeEnvironment`), as in the tests over ssh. */
export async function openStage(name: string): Promise<Stage> {
  const [cluster, home, project] = await Promise.all([startCluster({ name }), makeTestHome(), makeTestProject()]);
  const image = await testImage(cluster);
  await useStandIn(project.folder, "kubernetes");
  const environment = { ...home.environment, KUBECONFIG: cluster.kubeconfig };
  return {
    cluster,
    project,
    home: { ...home, environment },
    run: commandsIn(project, { ...home, environment }),
    image,
    remove: async () => {
      await cluster.stop();
      await Promise.all([home.remove(), project.remove()]);
    },
  };
}

/** Gives the node an image with the interpreter of the tests' environment; its name by digest, as an experiment names it. */
export async function testImage(cluster: Cluster): Promise<string> {
  const archive = await pythonImage(await interpreterOf(environmentFolder));
  await cluster.loadImage(archive, imageNames.python);
  return `${imageNames.python.split(":")[0] ?? ""}@${await imageDigest(archive)}`;
}

/** The interpreter that the shared environment was made with, which may be another than the first on PATH. */
async function interpreterOf(environment: string): Promise<Record<string, string>> {
  const script = "import sys, sysconfig; print(sys._base_executable); print(sysconfig.get_path('stdlib'))";
  const { stdout } = await execa(join(environment, "bin/python"), ["-I", "-c", script]);
  return Object.fromEntries(stdout.split("\n").map((path) => [path, path]));
}

/** Digest of the image in an archive, by which a Pod names it. */
async function imageDigest(archive: string): Promise<string> {
  const { stdout } = await execa("tar", ["-xOf", archive, "index.json"]);
  return (JSON.parse(stdout) as { manifests: [{ digest: string }] }).manifests[0].digest;
}

/** The locked environment of the tests on a volume, as an earlier `up` would have left it: hard links, readable by the Pods' user. */
export async function placeEnvironment(cluster: Cluster, namespace: string, claim: string): Promise<void> {
  const name = basename(environmentFolder);
  const target = join(await cluster.volume(namespace, claim), "env");
  await mkdir(target, { recursive: true, mode: 0o777 });
  await execa("chmod", ["0777", target]);
  await execa("chmod", ["-R", "a+rX", environmentFolder]);
  await execa("cp", ["-al", environmentFolder, `${target}/${name}`]);
}

/** Namespace and claim as the program would declare them, so that something can be on the volume before the first `up`. */
export async function makeClaim(
  cluster: Cluster,
  namespace: string,
  claim: string,
  accessMode: AccessMode = "ReadWriteOnce",
): Promise<void> {
  const objects = [
    // The cluster's own class makes volumes for one node alone.
    ...(accessMode === "ReadWriteMany" ? [sharedVolume(namespace, claim)] : []),
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: claim, namespace },
      spec: { accessModes: [accessMode], resources: { requests: { storage: "30Gi" } } },
    },
  ];
  await cluster.kubectl(["apply", "--filename=-"], objects.map((object) => JSON.stringify(object)).join("\n---\n"));
}

/** A folder of the one node, which any number of its Pods may mount. */
const sharedVolume = (namespace: string, claim: string): object => ({
  ...{ apiVersion: "v1", kind: "PersistentVolume", metadata: { name: claim } },
  spec: {
    accessModes: ["ReadWriteMany"],
    capacity: { storage: "30Gi" },
    storageClassName: "standard",
    claimRef: { namespace, name: claim },
    hostPath: { path: `/tmp/hostpath_pv/${claim}`, type: "DirectoryOrCreate" },
  },
});

/** Changes values of a stack file of the copy, by their paths below `config`. */
export async function editStack(
  { folder }: TestProject,
  experiment: string,
  changes: Readonly<Record<string, unknown>>,
): Promise<void> {
  const path = join(folder, `stacks/Pulumi.${experiment}.yaml`);
  const document = parseDocument(await readFile(path, "utf8"));
  for (const [at, value] of Object.entries(changes)) {
    const [key = "", ...rest] = at.split(".");
    document.setIn(["config", `tuneup:${key}`, ...rest], value);
  }
  await writeFile(path, String(document));
}
