import { ComponentResource, type ComponentResourceOptions, type Resource } from "../provider/pulumi.ts";
import { Release } from "@pulumi/kubernetes/helm/v3/release.js";
import { gpuToleration } from "../recipe/eks/cluster-config.ts";

/** NVIDIA's own chart, at a version that others run on EKS. */
const chart = { chart: "nvidia-device-plugin", version: "0.17.1" } as const;
const repo = "https://nvidia.github.io/k8s-device-plugin";

/** NVIDIA's device plugin, by which Pods ask for a GPU: EKS's image has the driver and not the plugin. It runs on every node with one. Costs nothing. */
export class EksDevices extends ComponentResource {
  public readonly ready: Resource;

  constructor(name: string, options?: ComponentResourceOptions) {
    super("tuneup:components:EksDevices", name, {}, options);
    this.ready = new Release(
      name,
      {
        ...{ ...chart, repositoryOpts: { repo }, name: "tuneup-devices", namespace: "kube-system" },
        values: { tolerations: [{ ...gpuToleration }] },
      },
      { parent: this },
    );
    this.registerOutputs();
  }
}
