import { nodeGroupArns } from "./names.ts";

const version = "2012-10-17";

/** Who may take a role of a cluster: its control plane, a node, or a Pod by EKS Pod Identity. As IAM takes it, in JSON. */
export function clusterTrust(service: "eks.amazonaws.com" | "ec2.amazonaws.com" | "pods.eks.amazonaws.com"): string {
  const Action = service === "pods.eks.amazonaws.com" ? ["sts:AssumeRole", "sts:TagSession"] : "sts:AssumeRole";
  return JSON.stringify({
    Version: version,
    Statement: [{ Effect: "Allow", Action, Principal: { Service: service } }],
  });
}

/** May encrypt and decrypt with one key. */
export function mayUseKey(keyArn: string): string {
  const Action = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants"];
  return JSON.stringify({ Version: version, Statement: [{ Effect: "Allow", Action, Resource: keyArn }] });
}

/** May change how many nodes a stack's node group has, and nothing else. */
export function mayScale(cluster: string, region: string): string {
  const statement = {
    Effect: "Allow",
    Action: "eks:UpdateNodegroupConfig",
    Resource: nodeGroupArns(cluster, region),
  };
  return JSON.stringify({ Version: version, Statement: [statement] });
}
