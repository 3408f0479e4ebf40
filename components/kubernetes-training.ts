import { ComponentResource, type ComponentResourceOptions, type Input, output } from "../provider/pulumi.ts";
import { CustomResource } from "@pulumi/kubernetes/apiextensions/customResource.js";
import { Job } from "@pulumi/kubernetes/batch/v1/job.js";
import type { podSpec } from "../recipe/kubernetes/pod.ts";
import { type TrainingParts, trainingJob, trainingRuntime, trainJob } from "../recipe/kubernetes/training.ts";

/** A Pod's template as it is declared. */
export interface PodTemplate {
  readonly metadata: { readonly labels: Record<string, string>; readonly annotations?: Record<string, string> };
  readonly spec: ReturnType<typeof podSpec>;
}

/** Changes a Pod's template: volumes, sidecars, whatever the config has no key for. */
export type PodTransform = (template: PodTemplate) => PodTemplate;

/** Arguments of KubernetesTraining. */
export interface KubernetesTrainingArgs extends Omit<TrainingParts, "run"> {
  /** Output of SftJob. */
  readonly run: Input<string>;
  readonly transform?: PodTransform;
}

/**
 * What trains one run on a cluster: a Job where one machine does, else a TrainJob of Kubeflow Trainer v2 and the TrainingRuntime that
 * it is made after. It bears the run's name, so that nothing but another run trains again.
 */
export class KubernetesTraining extends ComponentResource {
  constructor(name: string, args: KubernetesTrainingArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:KubernetesTraining", name, {}, options);
    const { run, transform = (template: PodTemplate) => template, ...parts } = args;
    // One holder of GPU and run folder: the old one goes first.
    const own = { parent: this, deleteBeforeReplace: true };
    if (parts.nodes === 1) {
      const job = output(run).apply((name_) => {
        const { metadata, spec } = trainingJob({ ...parts, run: name_ });
        return { metadata, spec: { ...spec, template: transform(spec.template) } };
      });
      new Job(name, { metadata: job.metadata, spec: job.spec }, own);
    } else {
      const runtime = output(run).apply((name_) => trainingRuntime({ ...parts, run: name_ }));
      const { apiVersion, kind } = trainingRuntime({ ...parts, run: "" });
      const made = new CustomResource(name, { apiVersion, kind, metadata: runtime.metadata, spec: runtime.spec }, own);
      const job = output(run).apply((name_) => trainJob({ ...parts, run: name_ }));
      const type = trainJob({ ...parts, run: "" });
      new CustomResource(
        `${name}-run`,
        { apiVersion: type.apiVersion, kind: type.kind, metadata: job.metadata, spec: job.spec },
        { ...own, dependsOn: [made] },
      );
    }
    this.registerOutputs({});
  }
}
