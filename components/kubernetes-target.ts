import { ComponentResource, type ComponentResourceOptions, type Input, output, type Output } from "@pulumi/pulumi";
import type { HostSpec } from "../recipe/host.ts";
import type { Target } from "./target.ts";

/** Arguments of KubernetesTarget. */
export interface KubernetesTargetArgs {
  /** Namespace of the experiment's Jobs and endpoint. */
  readonly namespace: Input<string>;
  /** StorageClass of the data volume. Default: the cluster's own. */
  readonly storageClassName?: Input<string>;
  /** Size of the data volume, as Kubernetes writes it, e.g. `100Gi`. */
  readonly storage: Input<string>;
  /** GPUs of one Pod, by the device plugin's resource name, e.g. `{ "nvidia.com/gpu": 1 }`. Default: none. */
  readonly accelerators?: Input<Record<string, number>>;
  /** Where the data volume is mounted in the Pods. Default: /data. */
  readonly dataDirectory?: Input<string>;
}

/** A namespace of any cluster: reached by exec and port-forward. `tuneup:target: kubernetes` is refused until its Jobs are here. */
export class KubernetesTarget extends ComponentResource implements Target {
  public readonly host: Output<HostSpec>;

  constructor(name: string, args: KubernetesTargetArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:KubernetesTarget", name, {}, options);
    const { namespace, dataDirectory = "/data" } = args;
    this.host = output({ kind: "kubernetes" as const, namespace, dataDirectory });
    this.registerOutputs({ host: this.host });
  }
}
