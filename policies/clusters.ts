import { type DeclaredResource, isTrue, mapAt, mapsAt, type ResourceRule, shown, textsAt } from "./rule.ts";

const isCluster = ({ type }: DeclaredResource): boolean => type === "aws:eks/cluster:Cluster";

/** The API of a cluster is the cluster. */
export const clusterEndpointRule: ResourceRule = {
  name: "cluster-endpoint-private",
  description: "The API of an EKS cluster is reached from its VPC alone.",
  known: ["EKS.1", "CKV_AWS_39"],
  check: (resource) => {
    if (!isCluster(resource)) return [];
    // Not said, EKS opens it.
    const { endpointPublicAccess = true, endpointPrivateAccess } = mapAt(resource.inputs, "vpcConfig");
    return [
      ...(isTrue(endpointPublicAccess) ? ["vpcConfig.endpointPublicAccess must be false."] : []),
      ...(isTrue(endpointPrivateAccess)
        ? []
        : [`vpcConfig.endpointPrivateAccess must be true, got ${shown(endpointPrivateAccess)}.`]),
    ];
  },
};

/** Secrets of Kubernetes are plain in etcd otherwise. */
export const clusterSecretsRule: ResourceRule = {
  name: "cluster-secrets-encrypted",
  description: "Secrets in an EKS cluster are encrypted with a key of KMS.",
  known: ["EKS.3", "CKV_AWS_58"],
  check: (resource) => {
    const encrypted = mapsAt(resource.inputs, "encryptionConfig").some((one) =>
      textsAt(one, "resources").includes("secrets"),
    );
    return !isCluster(resource) || encrypted ? [] : ['encryptionConfig must name the resources ["secrets"] and a key.'];
  },
};

/** Who did what is known afterwards, or never. */
export const clusterAuditRule: ResourceRule = {
  name: "cluster-audit-log",
  description: "An EKS cluster keeps its audit log.",
  known: ["EKS.8", "CKV_AWS_37"],
  check: (resource) => {
    const logs = textsAt(resource.inputs, "enabledClusterLogTypes");
    return !isCluster(resource) || logs.includes("audit")
      ? []
      : [`enabledClusterLogTypes must have audit, got ${shown(resource.inputs["enabledClusterLogTypes"])}.`];
  },
};
