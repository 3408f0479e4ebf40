import type { KubernetesConfig } from "./config.ts";
import { commonLabels, nameOf, podLabels } from "./labels.ts";
import { layoutOf } from "../layout.ts";
import { agentCommand, containerName, dataMount, podSpec } from "./pod.ts";

/** Exit codes of `agent.mjs work`; docs/lifecycle.md says what each means. */
export const workExit = { complete: 0, infrastructure: 1, user: 42, stopped: 43 } as const;

/** How often the cluster starts another Pod for a training that failed for no fault of the user's. */
const retries = 6;

/** A finished Job stays so long, to be looked at. */
const keptSeconds = 7 * 24 * 3600;

/** What a training on a cluster is made from. */
export interface TrainingParts {
  readonly experiment: string;
  readonly run: string;
  readonly config: KubernetesConfig;
  /** GPUs of one machine; 0 trains on the CPU. */
  readonly gpusPerNode: number;
  readonly nodes: number;
}

/**
 * The provider would wait for the whole training; RunCompletion does, with progress. Nor does it wait for a deletion then: in the background
 * the name is free at once, and a Pod of the new one waits for the run's lock while the old one saves.
 */
const awaitedElsewhere = { "pulumi.com/skipAwait": "true", "pulumi.com/deletionPropagationPolicy": "background" };

/** The Pod of one machine that trains. */
export function trainerPod({ experiment, run, config, gpusPerNode }: TrainingParts) {
  const { volume, image, cpu, cpuRequest, memory, sharedMemory, gpuResource, graceSeconds } = config;
  const words = ["work", "--data-directory", dataMount, "--run", run, "--grace", String(graceSeconds)];
  const { imagePullSecrets, nodeSelector, tolerations, priorityClassName, runtimeClassName } = config;
  return {
    metadata: { labels: podLabels("trainer", { claim: volume.claim, experiment, run }) },
    spec: podSpec({
      image,
      claim: volume.claim,
      // A copy of its own: a later release changes nothing of a run that is declared.
      command: agentCommand(layoutOf(dataMount).run(run).agent, words),
      cpu,
      cpuRequest,
      memory,
      sharedMemory,
      ...(gpusPerNode === 0 ? {} : { devices: { [gpuResource]: gpusPerNode } }),
      imagePullSecrets,
      nodeSelector,
      tolerations,
      priorityClassName,
      runtimeClassName,
      shareNode: volume.accessMode === "ReadWriteOnce",
      graceSeconds,
      restartPolicy: "Never",
      serviceAccountName: nameOf(experiment),
    }),
  };
}

/**
 * The Job of a run on one machine. Its name is the run's: an edit of anything else never trains again. A fault of the user's ends it
 * at once, a Pod that the cluster took away does not count, and the rest is tried again from the last complete checkpoint.
 */
export function trainingJob(parts: TrainingParts) {
  const { experiment, run, config } = parts;
  return {
    metadata: {
      name: nameOf(run),
      namespace: config.namespace,
      labels: { ...podLabels("trainer", { claim: config.volume.claim, experiment, run }), ...queueLabel(config) },
      annotations: awaitedElsewhere,
    },
    spec: {
      backoffLimit: retries,
      completions: 1,
      parallelism: 1,
      ttlSecondsAfterFinished: keptSeconds,
      podReplacementPolicy: "Failed",
      podFailurePolicy: {
        rules: [
          { action: "FailJob", onExitCodes: exitCodes(workExit.user, workExit.stopped) },
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        ],
      },
      template: trainerPod(parts),
    },
  };
}

function exitCodes(...values: number[]) {
  return { containerName, operator: "In", values };
}

function queueLabel({ queueName }: KubernetesConfig): Record<string, string> {
  return queueName === undefined ? {} : { "kueue.x-k8s.io/queue-name": queueName };
}

/** Name of the TrainingRuntime of an experiment's: what its TrainJobs are made after. */
export function runtimeName(experiment: string): string {
  return `${nameOf(experiment)}-tuneup`;
}

/** The TrainingRuntime of Kubeflow Trainer v2 for a training on several machines: torchrun's variables come from its torch policy. */
export function trainingRuntime(parts: TrainingParts) {
  const { experiment, config, nodes, gpusPerNode } = parts;
  const { metadata, spec } = trainerPod(parts);
  const template = {
    metadata,
    spec: { ...spec, containers: spec.containers.map((one) => ({ ...one, name: "node" })) },
  };
  return {
    apiVersion: "trainer.kubeflow.org/v1alpha1",
    kind: "TrainingRuntime",
    metadata: {
      name: runtimeName(experiment),
      namespace: config.namespace,
      labels: { ...commonLabels("pulumi"), "trainer.kubeflow.org/framework": "torch" },
    },
    spec: {
      // Said, since `auto` counts CPUs, and GPUs only where they are requested: it gave 1 with GPUs in limits alone.
      mlPolicy: { numNodes: nodes, torch: { numProcPerNode: Math.max(1, gpusPerNode) } },
      template: {
        spec: {
          // A machine that fails takes the others with it: all begin again from the last complete checkpoint.
          failurePolicy: { maxRestarts: retries },
          replicatedJobs: [
            {
              name: "node",
              template: {
                metadata: { labels: { "trainer.kubeflow.org/trainjob-ancestor-step": "trainer" } },
                spec: { template, backoffLimit: 0 },
              },
            },
          ],
        },
      },
    },
  };
}

/** The TrainJob of a run on several machines. */
export function trainJob(parts: TrainingParts) {
  const { experiment, run, config, nodes, gpusPerNode } = parts;
  return {
    apiVersion: "trainer.kubeflow.org/v1alpha1",
    kind: "TrainJob",
    metadata: {
      name: nameOf(run),
      namespace: config.namespace,
      labels: { ...podLabels("trainer", { claim: config.volume.claim, experiment, run }), ...queueLabel(config) },
      annotations: awaitedElsewhere,
    },
    spec: {
      runtimeRef: { apiGroup: "trainer.kubeflow.org", kind: "TrainingRuntime", name: runtimeName(experiment) },
      trainer: { numNodes: nodes, numProcPerNode: Math.max(1, gpusPerNode) },
    },
  };
}
