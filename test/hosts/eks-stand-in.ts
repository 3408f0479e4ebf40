import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** An `aws` that answers `describe-…` from files, refuses what has none, and gives tokens; it notes each call. */
export const awsProgram = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
refuse() { echo "$1" >&2; exit 254; }
if [ -e "$here/refusal" ]; then refuse "$(cat "$here/refusal")"; fi
case $* in
*describe-cluster*) what=cluster; operation=DescribeCluster ;;
*describe-nodegroup*) what=nodegroup; operation=DescribeNodegroup ;;
*update-nodegroup-config*) what=update; operation=UpdateNodegroupConfig ;;
*get-token*)
  printf '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"canary-token"}}'
  exit 0 ;;
esac
if [ -e "$here/$what" ]; then cat "$here/$what"; exit 0; fi
refuse "
An error occurred (ResourceNotFoundException) when calling the $operation operation: No $what found for name: tuneup-exp."
`;

/** Makes the certificate of an API server on loopback, and its key, in a folder. */
export async function certificateIn(folder: string): Promise<{ readonly key: Buffer; readonly cert: Buffer }> {
  const file = (name: string): string => join(folder, name);
  const names = ["-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  const words = [
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    ...names,
    "-keyout",
    file("key"),
    "-out",
    file("crt"),
  ];
  execFileSync("openssl", words, { stdio: "ignore" });
  const [key, cert] = await Promise.all([readFile(file("key")), readFile(file("crt"))]);
  return { key, cert };
}
