import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { EksAccess } from "../recipe/eks/kubeconfig.ts";
import { tagNames, type Tags } from "../recipe/aws/tags.ts";
import { awsFault, credentialsMissing } from "./aws-faults.ts";
import { programMissing } from "./aws-programs.ts";
import { Fault } from "../recipe/fault.ts";

const run = promisify(execFile);

/** AWS answers such a question within so long, or it is not to be had. */
const answerMs = 60_000;

/** A cluster of a region. */
export interface ClusterPlace {
  readonly region: string;
  readonly name: string;
}

/** A cluster as EKS tells of it. */
export interface EksCluster {
  /** Such as ACTIVE, CREATING, DELETING. */
  readonly status: string;
  /** How its API is reached; undefined while it is made. */
  readonly access: EksAccess | undefined;
}

/** A node group as EKS tells of it. */
export interface EksNodes {
  readonly status: string;
  /** How many nodes it is to have. */
  readonly wanted: number;
  /** Tag `tuneup:expiry`. */
  readonly expiry: string | undefined;
}

/**
 * The cluster of a name; undefined where there is none. It is asked by the AWS CLI, which is needed for the cluster's tokens in any case. Throws Fault
 * `aws-cli-missing`, and those of aws-faults.ts.
 */
export async function describeCluster({ region, name }: ClusterPlace): Promise<EksCluster | undefined> {
  const told = await asked("eks:DescribeCluster", region, ["describe-cluster", "--name", name]);
  const cluster = (told as { cluster?: Described } | undefined)?.cluster;
  if (cluster === undefined) return undefined;
  const { status = "", endpoint, certificateAuthority } = cluster;
  const authority = certificateAuthority?.data;
  const isWhole = endpoint !== undefined && authority !== undefined;
  return { status, access: isWhole ? { region, name, endpoint, authority } : undefined };
}

interface Described {
  readonly status?: string;
  readonly endpoint?: string;
  readonly certificateAuthority?: { readonly data?: string };
}

/** A node group of a cluster; undefined where there is none. Throws as `describeCluster`. */
export async function describeNodes({ region, name }: ClusterPlace, group: string): Promise<EksNodes | undefined> {
  const words = ["describe-nodegroup", "--cluster-name", name, "--nodegroup-name", group];
  const told = await asked("eks:DescribeNodegroup", region, words);
  const nodes = (told as { nodegroup?: DescribedNodes } | undefined)?.nodegroup;
  if (nodes === undefined) return undefined;
  const { status = "", scalingConfig, tags } = nodes;
  return { status, wanted: scalingConfig?.desiredSize ?? 0, expiry: tags?.[tagNames.expiry] };
}

/** Has a node group end its nodes, as the end of their lease does: their Pods are evicted first. Throws as `describeCluster`. */
export async function scaleToNone({ region, name }: ClusterPlace, group: string): Promise<void> {
  const words = ["update-nodegroup-config", "--cluster-name", name, "--nodegroup-name", group];
  await asked("eks:UpdateNodegroupConfig", region, [...words, "--scaling-config", "minSize=0,maxSize=1,desiredSize=0"]);
}

interface DescribedNodes {
  readonly status?: string;
  readonly scalingConfig?: { readonly desiredSize?: number };
  readonly tags?: Tags;
}

/** What `aws eks` answers; undefined where there is no such thing. */
async function asked(action: string, region: string, words: readonly string[]): Promise<unknown> {
  try {
    const all = ["--region", region, "--output", "json", "--no-cli-pager", "eks", ...words];
    const { stdout } = await run("aws", all, { timeout: answerMs, maxBuffer: 2 ** 24 });
    return JSON.parse(stdout);
  } catch (thrown) {
    const { code, stderr = "", message } = thrown as NodeJS.ErrnoException & { readonly stderr?: string };
    if (code === "ENOENT") throw programMissing("aws");
    if (/Unable to locate credentials|config profile .* could not be found/i.test(stderr)) {
      throw new Fault(credentialsMissing(stderr));
    }
    const [, name, said = ""] = /\((\w+)\) when calling the \w+ operation(?: \([^)]*\))?: ([^]*)/.exec(stderr) ?? [];
    if (name === "ResourceNotFoundException") return undefined;
    // The CLI gives no status; what it calls by a name was answered.
    const answered = name === undefined ? {} : { $metadata: { httpStatusCode: 400 } };
    const told = said || stderr.trim() || message;
    throw awsFault(Object.assign(new Error(told), { name: name ?? "" }, answered), { action, region });
  }
}
