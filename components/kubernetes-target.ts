import {
  all,
  type ComponentResourceOptions,
  ComponentResource,
  isDryRun,
  output,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import { Namespace } from "@pulumi/kubernetes/core/v1/namespace.js";
import { PersistentVolumeClaim } from "@pulumi/kubernetes/core/v1/persistentVolumeClaim.js";
import { ServiceAccount } from "@pulumi/kubernetes/core/v1/serviceAccount.js";
import { NetworkPolicy } from "@pulumi/kubernetes/networking/v1/networkPolicy.js";
import { Provider } from "@pulumi/kubernetes/provider.js";
import type { HostSpec, KubernetesHostSpec } from "../recipe/host.ts";
import type { KubernetesConfig } from "../recipe/kubernetes/config.ts";
import { commonLabels, nameOf } from "../recipe/kubernetes/labels.ts";
import {
  agentEgress,
  denyAll,
  endpointIngressPolicy,
  publishingEgress,
  trainingPeers,
} from "../recipe/kubernetes/network.ts";
import { KubernetesEndpoint } from "./kubernetes-endpoint.ts";
import { KubernetesTraining, type PodTransform } from "./kubernetes-training.ts";
import type { EndpointWorkload, Target, TrainingWorkload } from "./target-kind.ts";

/** Arguments of KubernetesTarget. */
export interface KubernetesTargetArgs {
  /** `tuneup:kubernetes` of the experiment. */
  readonly config: KubernetesConfig;
  /** How the agent is reached, of the same config (`hostSpecOf`). */
  readonly host: KubernetesHostSpec;
  /** GPUs of one machine, and how many machines train together. */
  readonly gpusPerNode: number;
  readonly nodes: number;
  /** Does a run publish to a bucket (`tuneup:storage.artifacts`)? Then its Pods reach the web. Default: they reach nothing. */
  readonly publishes?: boolean;
  /** How the cluster is reached. Default: by the context of the kubeconfig. */
  readonly provider?: Provider;
  /** Name of the PersistentVolume that the claim is for. Default: the cluster makes one. */
  readonly volumeName?: string;
  /** What has to be there before the claim. */
  readonly after?: readonly Resource[];
  /** The escape hatch: changes each Pod's template before it is declared. Default: as it is. */
  readonly transform?: PodTransform;
}

/** For a provider of any cluster: it adopts what is there, the volume that an earlier `destroy` kept, and what a killed `up` made without noting it. */
export const adopting = { enableServerSideApply: true, upsertExistingObjects: true } as const;

/**
 * A namespace of any cluster, with the volume that is the data directory. Costs what the volume costs as long as it is kept, and what
 * its Pods take while they run. `destroy` keeps the volume, and the namespace that holds it.
 */
export class KubernetesTarget extends ComponentResource implements Target {
  public readonly host: Output<HostSpec>;
  readonly #args: KubernetesTargetArgs;
  readonly #name: string;
  readonly #provider: Provider;

  constructor(name: string, args: KubernetesTargetArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:KubernetesTarget", name, {}, options);
    this.#args = args;
    this.#name = name;
    const { config, host } = args;
    const context = config.context === undefined ? {} : { context: config.context };
    this.#provider = args.provider ?? new Provider(name, { ...context, ...adopting }, { parent: this });
    const own = { parent: this, provider: this.#provider };
    const spaces = config.createNamespace ? [this.#namespace(own)] : [];
    const within = { ...own, dependsOn: [...spaces, ...(args.after ?? [])] };
    const account = {
      metadata: { name: nameOf(name), namespace: config.namespace, labels: commonLabels("pulumi") },
      automountServiceAccountToken: false,
    };
    const policies = [
      denyAll(name, config),
      agentEgress(name, config),
      endpointIngressPolicy(name, config),
      trainingPeers(name, config),
      ...(args.publishes === true ? [publishingEgress(name, config)] : []),
    ];
    const needed = [
      ...spaces,
      this.#volume(within),
      new ServiceAccount(name, account, within),
      ...policies.map((policy) => new NetworkPolicy(policy.metadata.name, policy, within)),
    ];
    // Known at once in a preview, whose checks need it; afterwards a host as soon as Pods of ours can be.
    this.host = isDryRun() ? output(host) : all(needed.map(({ urn }) => urn)).apply(() => host);
    this.registerOutputs({ host: this.host });
  }

  /** The Job (or TrainJob) that trains a declared run. */
  training({ run }: TrainingWorkload): Resource {
    const { config, gpusPerNode, nodes, transform } = this.#args;
    const parts = { experiment: this.#name, run, config, gpusPerNode, nodes };
    return new KubernetesTraining(
      this.#name,
      { ...parts, ...(transform === undefined ? {} : { transform }) },
      { parent: this, providers: [this.#provider] },
    );
  }

  /** The Deployment that serves a declared endpoint, with its Service and what belongs to them. */
  endpoint({ revision, apiKey, tls, dependsOn }: EndpointWorkload): Resource {
    const { config, gpusPerNode, transform } = this.#args;
    // LLaMA-Factory's engine is one process on one card.
    const gpus = Math.min(1, gpusPerNode);
    return new KubernetesEndpoint(
      this.#name,
      {
        experiment: this.#name,
        config,
        gpus,
        tls,
        revision,
        apiKey,
        after: dependsOn,
        ...(transform === undefined ? {} : { transform }),
      },
      { parent: this, providers: [this.#provider] },
    );
  }

  #namespace(own: { readonly parent: Resource; readonly provider: Provider }): Namespace {
    const level = {
      "pod-security.kubernetes.io/enforce": "restricted",
      "pod-security.kubernetes.io/warn": "restricted",
    };
    const { namespace } = this.#args.config;
    return new Namespace(
      namespace,
      { metadata: { name: namespace, labels: { ...commonLabels("pulumi"), ...level } } },
      // It would take the volume along.
      { ...own, retainOnDelete: true },
    );
  }

  #volume(within: { readonly parent: Resource; readonly provider: Provider; readonly dependsOn: Resource[] }) {
    const { config, volumeName } = this.#args;
    const { volume, namespace } = config;
    const { claim, size, storageClassName, accessMode } = volume;
    return new PersistentVolumeClaim(
      claim,
      {
        // A class that waits for its first Pod binds nothing before.
        metadata: {
          name: claim,
          namespace,
          labels: commonLabels("pulumi"),
          annotations: { "pulumi.com/skipAwait": "true" },
        },
        spec: {
          accessModes: [accessMode],
          resources: { requests: { storage: size } },
          ...(storageClassName === undefined ? {} : { storageClassName }),
          ...(volumeName === undefined ? {} : { volumeName }),
        },
      },
      { ...within, retainOnDelete: true },
    );
  }
}
