import { runtime } from "@pulumi/pulumi";
import { vi } from "vitest";
import type { Finished } from "../../components/target-kind.ts";
import type { Inputs } from "../../policies/rule.ts";
import type { Experiment as ExperimentConfig } from "../../recipe/experiment.ts";
import { tagsFor } from "../../recipe/aws/tags.ts";
import { hostSpecOf } from "../../recipe/target-host.ts";
import type { CloudVolume, Declared } from "./aws-cloud.ts";
import { declaredOutputs } from "./declared-outputs.ts";

/** What is in the account before the program runs. */
export interface EksAccount {
  readonly clusters: readonly string[];
  /** Of each cluster. Default: as an earlier `up` of the stack left it. */
  readonly version?: string;
  readonly clusterTags?: Readonly<Record<string, string>>;
  /** Tags and size of the node group `gpu` of each cluster; undefined where it has none. */
  readonly nodes?: { readonly wanted: number; readonly tags: Readonly<Record<string, string>> };
  readonly volumes: readonly CloudVolume[];
  /** Private subnets of the VPC that is asked for, by zone. */
  readonly subnets?: Readonly<Record<string, readonly string[]>>;
  /** Zones of the region that EKS takes. Default: a to c, in no order. */
  readonly zones?: readonly string[];
}

/** An account with nothing of ours in it. */
export const emptyAccount: EksAccount = { clusters: [], volumes: [] };

const declared: Declared[] = [];
/** Tokens of what AWS was asked, each with what was asked. */
export const asked: { readonly token: string; readonly inputs: Inputs }[] = [];
let account = emptyAccount;
/** By type and name: the resource with which it is deleted, so that it is not deleted itself. */
export const deletedWith = new Map<string, string>();

/** What AWS makes up for a new resource. */
function stateOf(type: string, name: string): { readonly id: string; readonly [key: string]: unknown } {
  if (type === "aws:ebs/volume:Volume") return { id: "vol-0123456789abcdef0" };
  const id = `${type.split(":").at(-1)}(${name})`;
  const made = { id, arn: `arn:${id}`, allocationId: `allocation:${id}`, latestVersion: 3 };
  if (type !== "aws:eks/cluster:Cluster") return made;
  return { ...made, endpoint: "https://cluster.example", certificateAuthority: { data: "Q0E=" } };
}

function answer(token: string, inputs: Inputs): object {
  const values = (name: string): readonly string[] =>
    ((inputs["filters"] ?? []) as { name: string; values: string[] }[]).find((one) => one.name === name)?.values ?? [];
  switch (token.split(":").at(-1)) {
    case "getClusters":
      return { names: account.clusters };
    case "getCluster":
      return {
        ...{ endpoint: "https://given.example", certificateAuthorities: [{ data: "Q0E=" }] },
        ...{ version: account.version ?? "1.35", tags: account.clusterTags ?? tagsFor("exp") },
      };
    case "getNodeGroups":
      return { names: account.nodes === undefined ? [] : ["gpu"] };
    case "getNodeGroup":
      return { tags: account.nodes?.tags, scalingConfigs: [{ desiredSize: account.nodes?.wanted }] };
    case "getAvailabilityZones":
      return { names: account.zones ?? ["us-east-1c", "us-east-1a", "us-east-1b"] };
    case "getEbsVolumes":
      return { ids: account.volumes.filter(({ status }) => values("status").includes(status)).map(({ id }) => id) };
    case "getVolume":
      return account.volumes.find(({ id }) => values("volume-id").includes(id)) ?? {};
    case "getSubnets": {
      const [zone] = values("availability-zone");
      const all = Object.entries(account.subnets ?? {});
      return { ids: all.flatMap(([of, ids]) => (zone === undefined || zone === of ? ids : [])) };
    }
  }
  throw new Error(`AWS is not asked ${token}`);
}

await runtime.setMocks(
  {
    newResource: ({ type, name, inputs, id }) => {
      const state = type.startsWith("aws:") ? stateOf(type, name) : { id: `${name}-id` };
      const given = inputs as Inputs;
      const own = { type, name, urn: `${type}::${name}`, adopts: id ?? "" };
      declared.push({ ...own, inputs: type.startsWith("aws:") ? { ...given, id: state.id } : given });
      const more = type === "aws:eks/cluster:Cluster" ? { vpcConfig: withGroup(given["vpcConfig"]) } : {};
      return { id: state.id, state: { ...state, ...given, ...more, ...declaredOutputs[type.split(":").at(-1) ?? ""] } };
    },
    call: ({ token, inputs }) => {
      asked.push({ token, inputs: inputs as Inputs });
      return answer(token, inputs as Inputs);
    },
  },
  "tuneup",
  "exp",
);

/** What the mocks do not show of a registration. */
interface Registration {
  getType(): string;
  getName(): string;
  getDeletedwith(): string;
}

interface Monitor {
  registerResource(request: Registration, ...rest: readonly unknown[]): unknown;
}

const monitor = runtime.getMonitor() as unknown as Monitor;
const register = monitor.registerResource.bind(monitor);
monitor.registerResource = (request, ...rest) => {
  deletedWith.set(`${request.getType()} ${request.getName()}`, request.getDeletedwith());
  return register(request, ...rest);
};

function withGroup(vpcConfig: unknown): object {
  return { ...(vpcConfig as object), clusterSecurityGroupId: "sg-cluster" };
}

const { Experiment } = await import("../../components/experiment.ts");
const { targetOf } = await import("../../components/target.ts");

/** Everything that an experiment for eks declares. `last`: kinds that come when the rest is there. Throws what the program would. */
export async function declareEks(
  config: ExperimentConfig,
  {
    stack = "exp",
    there = emptyAccount,
    last = ["Deployment", "PodDisruptionBudget", "Service", "Schedule"],
    isFinished = () => Promise.resolve(false),
  }: { stack?: string; there?: EksAccount; last?: readonly string[]; isFinished?: Finished } = {},
): Promise<readonly Declared[]> {
  declared.length = 0;
  deletedWith.clear();
  asked.length = 0;
  account = there;
  const target = await targetOf(stack, hostSpecOf(config, {}, stack), config, isFinished);
  new Experiment(stack, { config, target });
  const isThere = (): void => {
    const kinds = declared.map(({ type }) => type.split(":").at(-1));
    for (const kind of last) if (!kinds.includes(kind)) throw new Error(`${kind} is not declared yet`);
  };
  await vi.waitFor(isThere, { interval: 5, timeout: 20_000 });
  await new Promise((resolve) => void target.host.apply(resolve));
  return [...declared];
}
