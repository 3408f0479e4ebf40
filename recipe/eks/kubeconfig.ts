/** A cluster as EKS tells of it. */
export interface EksAccess {
  readonly region: string;
  readonly name: string;
  /** Address of its API. */
  readonly endpoint: string;
  /** Certificate of its authority, PEM in base64. */
  readonly authority: string;
}

/**
 * A kubeconfig by which kubectl, Pulumi and our own client reach a cluster: `aws eks get-token` gives a token for each quarter of an hour from the
 * credentials of whoever runs it. There is no secret in it. As JSON, which is YAML.
 */
export function kubeconfigOf({ region, name, endpoint, authority }: EksAccess): string {
  const args = ["--region", region, "eks", "get-token", "--cluster-name", name, "--output", "json"];
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1beta1",
    command: "aws",
    args,
    interactiveMode: "Never",
    installHint: "The AWS CLI (version 2) has to be on PATH.",
  };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: endpoint, "certificate-authority-data": authority } }],
    users: [{ name, user: { exec } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  });
}
