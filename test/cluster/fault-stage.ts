import { readdir, readFile } from "node:fs/promises";
import { until } from "../agent/runs/harness.ts";
import { expectSentence } from "../faults/soundness.ts";
import { type Cli, openStage, reportsOf, type Stage } from "../faults/stage.ts";
import { useStandIn } from "../providers/use.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { type AccessMode, makeClaim, placeEnvironment, testImage } from "./stage.ts";

/** The stage of the fault tests with a cluster for a host: the tiny model, real Pods, the volume as its data directory. */
export interface ClusterStage extends Stage {
  readonly cluster: Cluster;
  readonly namespace: string;
  /** Kubernetes' words about the objects of the namespace. */
  kubectl(...words: string[]): Promise<string>;
  /** Values below `tuneup:kubernetes` that its experiments have, with others in their place. */
  settings(changes?: Readonly<Record<string, unknown>>): { readonly kubernetes: Readonly<Record<string, unknown>> };
  /** Names of the Pods that train, newest last. */
  trainers(): Promise<string[]>;
}

const namespace = "tuneup";
const claim = "tuneup-data";

/** Starts a cluster with a bound volume that has the Python environment. */
export async function openClusterStage(name: string, accessMode: AccessMode = "ReadWriteOnce"): Promise<ClusterStage> {
  const cluster = await startCluster({ name });
  try {
    const image = await testImage(cluster);
    await makeClaim(cluster, namespace, claim, accessMode);
    await placeEnvironment(cluster, namespace, claim);
    const kubernetes = { namespace, image, cpu: "2", cpuRequest: "100m", memory: "3Gi", graceSeconds: 30 };
    const settings = (changes = {}) => ({ kubernetes: { ...kubernetes, volume: { claim, size: "30Gi" }, ...changes } });
    const stage = await openStage({
      data: await cluster.inside(namespace, claim),
      environment: { KUBECONFIG: cluster.kubeconfig, TUNEUP_KUBERNETES_START_MS: "10000", STAND_IN_DELETE_S: "20" },
      config: { target: "kubernetes", compute: { device: "cpu" }, ...settings() },
    });
    await useStandIn(stage.folder, "kubernetes");
    const kubectl = (...words: string[]) => cluster.kubectl(["--namespace", namespace, ...words]);
    return {
      ...{ ...stage, cluster, namespace, kubectl, settings },
      trainers: async () => {
        const words = ["pods", "--selector=tuneup.dev/role=trainer", "--sort-by=.metadata.creationTimestamp"];
        return (await kubectl("get", ...words, "--output=name")).split("\n").filter((line) => line !== "");
      },
      remove: async () => {
        await cluster.stop();
        await stage.remove();
      },
    };
  } catch (thrown) {
    await cluster.stop();
    throw thrown;
  }
}

/** Waits until attempt `attempt` has saved a checkpoint and stops its trainer (SIGSTOP); SIGCONT to the pid thaws it. */
export async function freezePod(stage: Stage, cli: Cli, name: string, attempt: number): Promise<number> {
  const holds = () =>
    stage.run(name).then(
      (paths) => reportsOf(paths).some((report) => report.attempt === attempt && report.kind === "checkpoint"),
      () => false,
    );
  await until(async () => (await holds()) || cli.over());
  if (cli.over()) throw new Error(`It ended too early: ${cli.said()}`);
  const { directory } = await stage.run(name);
  const pid = await trainerIn(directory.split("/").at(-1) ?? "");
  process.kill(pid, "SIGSTOP");
  return pid;
}

/** The trainer of a run in its Pod, as this machine numbers it. */
async function trainerIn(run: string): Promise<number> {
  for (const pid of (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry))) {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    if (!(await read("environ")).includes(`/data/runs/${run}/`)) continue;
    if (/\/python\0.*\/train\.py\0/.test(await read("cmdline"))) return Number(pid);
  }
  throw new Error(`No trainer of ${run} runs.`);
}

/** `up` of an experiment ends with one sentence that says this. */
export async function expectRefusal(stage: Stage, name: string, ...texts: (string | RegExp)[]): Promise<void> {
  expectSentence(await stage.tuneup("up", name), ...texts);
}
