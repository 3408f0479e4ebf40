import { ComponentResource, type ComponentResourceOptions, type Input, type Resource } from "../provider/pulumi.ts";
import { PersistentVolume } from "@pulumi/kubernetes/core/v1/persistentVolume.js";
import { StorageClass } from "@pulumi/kubernetes/storage/v1/storageClass.js";
import { storageClass, volumeName } from "../recipe/eks/cluster-config.ts";
import type { KubernetesConfig } from "../recipe/kubernetes/config.ts";
import { commonLabels } from "../recipe/kubernetes/labels.ts";

/** Arguments of EksStorage. */
export interface EksStorageArgs {
  /** Id of the data volume, which is in `zone`. */
  readonly volumeId: Input<string>;
  readonly zone: string;
  /** For which claim it is, and of what size. */
  readonly config: Pick<KubernetesConfig, "namespace" | "volume">;
}

const driver = "ebs.csi.aws.com";

/**
 * The data volume as the cluster knows it. It is no volume of the cluster's own making: such a one would stay behind, without a name, when the cluster
 * goes, and no other cluster would find it. Its class lets it grow. Costs nothing itself.
 */
export class EksStorage extends ComponentResource {
  public readonly ready: Resource;

  constructor(name: string, { volumeId, zone, config }: EksStorageArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:EksStorage", name, {}, options);
    const own = { parent: this };
    const labels = commonLabels("pulumi");
    const kind = new StorageClass(
      storageClass,
      {
        ...{ metadata: { name: storageClass, labels }, provisioner: driver, volumeBindingMode: "WaitForFirstConsumer" },
        ...{ parameters: { type: "gp3", encrypted: "true" }, allowVolumeExpansion: true, reclaimPolicy: "Retain" },
      },
      own,
    );
    const { claim, size, accessMode } = config.volume;
    const zones = { key: "topology.kubernetes.io/zone", operator: "In", values: [zone] };
    this.ready = new PersistentVolume(
      volumeName,
      {
        metadata: { name: volumeName, labels },
        spec: {
          ...{ capacity: { storage: size }, accessModes: [accessMode], storageClassName: storageClass },
          persistentVolumeReclaimPolicy: "Retain",
          claimRef: { namespace: config.namespace, name: claim },
          csi: { driver, volumeHandle: volumeId, fsType: "ext4" },
          nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [zones] }] } },
        },
      },
      // When it grows, the cluster writes its new size and its claim's id there.
      { ...own, dependsOn: [kind], ignoreChanges: ["spec.capacity", "spec.claimRef"], deleteBeforeReplace: true },
    );
    this.registerOutputs();
  }
}
