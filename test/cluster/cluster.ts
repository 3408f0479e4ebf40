import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findExecutable } from "../../cli/toolchain/executables.ts";
import { type Credentials, makeCredentials } from "./certificates.ts";
import { type Door, type Kubectl, openDoor } from "./door.ts";
import { busyboxImage, imageNames } from "./images.ts";
import { type Namespace, openNamespace } from "./namespace.ts";
import { containerdSocket, nodeName, partsOf, policyQueue } from "./parts.ts";
import { ensurePrograms, type Programs } from "./programs.ts";
import { type Parts, runParts } from "./running.ts";
import { installTrainer } from "./trainer.ts";
import { folderOf, insideOf, limitVolume } from "./volumes.ts";

/** A Kubernetes of one node with a real kubelet, in namespaces of its own. */
export interface Cluster {
  /** Path of the kubeconfig of its administrator. It works from everywhere on this machine. */
  readonly kubeconfig: string;
  /** The words before a command that is to run in the cluster's network (Pods, Services), as a process of this machine. */
  readonly enter: readonly string[];
  /** Folder of what its programs said. Deleted by `stop`. */
  readonly logs: string;
  /** `kubectl WORDS` as administrator; stdout. Throws with what it said if it fails. */
  readonly kubectl: Kubectl;
  /** Gives the node the image NAME:TAG of an archive of `pythonImage` or `docker save`, by tag and by digest. */
  loadImage(archive: string, name: string): Promise<void>;
  /** The folder on this machine that is the volume of a claim. Waits until the claim is bound. */
  volume(namespace: string, claim: string): Promise<string>;
  /** The same folder as Pods see it, also where `limitVolume` laid something over it. */
  inside(namespace: string, claim: string): Promise<string>;
  /** Lets the volume of a claim, or a folder of it, end at a size: empty the first time, and no longer seen by `volume`; another size later. */
  limitVolume(namespace: string, claim: string, megabytes: number, below?: string): Promise<void>;
  /** JobSet and Kubeflow Trainer: resources, controllers and webhooks. */
  installTrainer(): Promise<void>;
  /** Ends the API server; what is connected is cut. */
  stopApiserver(): Promise<void>;
  /** Starts it again and waits until it is ready. */
  startApiserver(): Promise<void>;
  /** Both of these, one after the other. */
  restartApiserver(): Promise<void>;
  /** Ends the kubelet; containers run on. The node is NotReady 20 s later. */
  stopKubelet(): Promise<void>;
  /** Starts it again and waits until the node is ready. */
  startKubelet(): Promise<void>;
  /** Ends everything in it; nothing of it is left on this machine. */
  stop(): Promise<void>;
}

/** What a cluster is to have. */
export interface ClusterOptions {
  /** Part of its folder's name, to tell clusters apart. */
  readonly name: string;
  /** GPUs that its node says it has; there are none behind them. Default: 8. */
  readonly gpus?: number;
}

/** Why no cluster can be made on this machine, in one line; undefined where it can. */
export async function clusterObstacle(): Promise<string | undefined> {
  if (process.platform !== "linux") return "a real Kubernetes node needs Linux";
  if (process.getuid?.() !== 0) return "a real Kubernetes node needs root";
  for (const [program, why] of Object.entries(needed))
    if ((await findExecutable(program, process.env["PATH"])) === undefined) return `${why}: there is no ${program}`;
  return undefined;
}

const needed = {
  go: "Kubernetes is built from its Go modules",
  "apt-get": "containerd and runc are unpacked from Debian packages",
  dpkg: "containerd and runc are unpacked from Debian packages",
  ip: "a node gets a network of its own",
  openssl: "a cluster gets certificates of its own",
};

/**
 * Starts one and waits until Pods can run. Several run side by side. The first time its programs are built, see
 * `ensurePrograms`. Throws with the end of the logs where a part of it fails.
 */
export async function startCluster({ name, gpus = 8 }: ClusterOptions): Promise<Cluster> {
  const programs = await ensurePrograms();
  const busybox = await busyboxImage(programs.packages);
  const namespace = await openNamespace(name, programs.packages);
  try {
    const credentials = await makeCredentials(join(namespace.folder, "credentials"));
    const parts = runParts(namespace, await partsOf(namespace, programs, credentials, gpus));
    await parts.start("etcd", "containerd", "apiserver", "volumes");
    const door = await openDoor(namespace, programs, credentials);
    const cluster = handleOf({ namespace, programs, credentials, parts, door, gpus });
    await parts.wait(door.answers);
    await parts.wait(() => existsSync(containerdSocket(namespace.folder)));
    await cluster.loadImage(busybox, imageNames.busybox);
    await parts.start("controllers", "scheduler", "kubelet", "proxy", "policies", "gpus");
    await parts.wait(() => policiesAreJudged(namespace));
    await applyBase(cluster, programs);
    // Where a program ended, that is why the wait failed.
    await awaitNode(cluster.kubectl, gpus).finally(parts.check);
    await awaitPods(cluster.kubectl).finally(parts.check);
    return cluster;
  } catch (thrown) {
    await namespace.remove();
    throw thrown;
  }
}

/** Packets wait for a verdict from the moment somebody listens to their queue; before that they are dropped. */
async function policiesAreJudged({ pid }: Namespace): Promise<boolean> {
  const queues = await readFile(`/proc/${pid}/net/netfilter/nfnetlink_queue`, "utf8").catch(() => "");
  return queues.split("\n").some((line) => line.trim().startsWith(`${policyQueue} `));
}

async function applyBase(cluster: Cluster, { one }: Programs): Promise<void> {
  const manifest = await readFile(fileURLToPath(new URL("manifests/base.yaml", import.meta.url)), "utf8");
  await cluster.kubectl(["apply", "-f", "-"], manifest.replace("PROGRAMS", dirname(one)));
}

async function awaitNode(kubectl: Kubectl, gpus: number): Promise<void> {
  const wait = (state: string) => kubectl(["wait", "--timeout=300s", `--for=${state}`, `node/${nodeName}`]);
  await wait("create");
  await wait("condition=Ready");
  if (gpus > 0) await wait(`jsonpath={.status.allocatable.nvidia\\.com/gpu}=${gpus}`);
}

async function awaitPods(kubectl: Kubectl): Promise<void> {
  await kubectl(["wait", "--timeout=300s", "--for=create", "serviceaccount/default"]);
  const names = ["deployment/coredns", "--namespace=kube-system"];
  await kubectl(["wait", "--timeout=300s", "--for=condition=Available", ...names]);
}

/** What a running cluster is made of. */
interface Made {
  readonly namespace: Namespace;
  readonly programs: Programs;
  readonly credentials: Credentials;
  readonly parts: Parts;
  readonly door: Door;
  readonly gpus: number;
}

function handleOf({ namespace, programs, credentials, parts, door, gpus }: Made): Cluster {
  const { kubeconfig, kubectl, answers } = door;
  const ctr = ["ctr", "--address", containerdSocket(namespace.folder), "--namespace", "k8s.io"];
  // At SIGTERM it would wait a minute for those who watch.
  const stopApiserver = () => parts.end("apiserver", "SIGKILL");
  const startApiserver = async (): Promise<void> => {
    await parts.start("apiserver");
    await parts.wait(answers);
  };
  return {
    ...{ kubeconfig, enter: namespace.enter, logs: namespace.logs, kubectl, stopApiserver, startApiserver },
    loadImage: async (archive, name) => {
      const base = `docker.io/${name.split(":")[0] ?? ""}`;
      await namespace.run([...ctr, "images", "import", "--digests", "--base-name", base, archive]);
    },
    volume: (of, claim) => folderOf(namespace, kubectl, of, claim),
    inside: (of, claim) => insideOf(namespace, kubectl, of, claim),
    limitVolume: (of, claim, megabytes, below) => limitVolume(namespace, kubectl, of, claim, megabytes, below),
    installTrainer: () => installTrainer(namespace, programs, credentials, kubectl),
    restartApiserver: async () => {
      await stopApiserver();
      await startApiserver();
    },
    stopKubelet: () => parts.end("kubelet"),
    startKubelet: async () => {
      const offers = async () => (await readFile(join(namespace.logs, "gpus.log"), "utf8")).split("\n").length;
      const before = await offers();
      await parts.start("kubelet");
      // What the API says of the node may still be from before: the kubelet is up when it has been offered the GPUs anew.
      await parts.wait(async () => (await offers()) > before);
      await awaitNode(kubectl, gpus);
    },
    stop: () => namespace.remove(),
  };
}
