import { eksWords } from "../eks/words.ts";
import { Fault, type FaultFacts } from "../fault.ts";

/** What AWS answered, as Pulumi's provider for AWS tells it. */
export interface Refusal {
  /** What was being done: `creating EC2 Instance`. */
  readonly doing: string;
  /** AWS's name of the error: `InsufficientInstanceCapacity`. */
  readonly code: string;
  /** AWS's own words. */
  readonly said: string;
}

/** The refusal in an error of the provider's; undefined where it tells of none. */
export function refusalIn(message: string): Refusal | undefined {
  const [before = "", ...after] = message.split(": operation error");
  const [, code, said = ""] = /api error (\w[\w.]*):([^]*?)(?:: provider=aws@|\n|$)/.exec(after.join()) ?? [];
  if (code === undefined) return undefined;
  // Before what was being done come the frames of the engine and of the provider.
  return { doing: before.split(/helper_schema: |\* |\n/).at(-1) ?? "", code, said: oneLine(said) };
}

/** What the provider's error is to a user, in a sentence and what to do; undefined where AWS refused nothing. */
export function refusalFault(message: string): Fault | undefined {
  if (/waiting for Auto Scaling Group \([^)]*\) capacity satisfied/.test(message)) return noSpot();
  const eks = eksRefusal(message);
  if (eks !== undefined) return new Fault({ ...eks, blame: "infrastructure" });
  const refusal = refusalIn(message);
  return refusal === undefined ? undefined : new Fault({ ...factsOf(refusal), blame: "infrastructure" });
}

function factsOf({ doing, code, said }: Refusal): FaultFacts {
  if (/^Insufficient\w*Capacity/.test(code)) return noCapacity(said);
  if (code === "VcpuLimitExceeded") {
    const [, limit = "too few"] = /vCPU limit of (\d+)/.exec(said) ?? [];
    return {
      ...{ code: "aws-quota", property: "aws.instanceTypes" },
      message: `Your account may run ${limit} vCPUs of this kind of machine in this region, which is less than it has.`,
      next: "Ask AWS for more (Service Quotas, EC2, `Running On-Demand G and VT instances` or `... P instances`), or name a smaller machine.",
    };
  }
  if (/^(RequestExpired|ExpiredToken(Exception)?)$/.test(code)) {
    return {
      ...{ code: "aws-credentials-expired", property: "aws" },
      message: "Your credentials for AWS have expired.",
      next: "Log in again (`aws sso login`, or whatever gave them), then run this again: it goes on where it was.",
    };
  }
  if (/^(UnauthorizedOperation|AccessDenied(Exception)?)$/.test(code)) {
    return {
      ...{ code: "aws-forbidden", property: "aws" },
      message: `Your credentials do not allow ${doing}: ${said}`,
      next: "docs/aws-iam.json is the policy for whoever runs tuneup; have the account's owner attach it.",
    };
  }
  return { code: "aws-refused", property: "aws", message: `AWS refuses ${doing}: ${code}: ${said}` };
}

/** A group that is made and has no machine yet. */
function noSpot(): Fault {
  return new Fault({
    ...{ code: "aws-no-spot", property: "aws.spot", blame: "infrastructure" },
    message:
      "AWS has given no machine of spot capacity: none of the types is free in any zone, or your account may have none (Service Quotas, EC2, `All G and VT Spot Instance Requests`).",
    next: "AWS goes on trying, and bills the machine that it finds until the lease ends; `npx tuneup down` stops that. Run this again later: it goes on with that machine, or takes one on demand if there was none for `aws.onDemandFallback` minutes. More types in `aws.instanceTypes` are more capacity.",
  });
}

/** What AWS refuses of a cluster of EKS. Its errors have other words: they are of a type of the SDK's, or come from what its node group waits for. */
function eksRefusal(message: string): FaultFacts | undefined {
  const [, cluster] = /creating EKS Cluster \(([\w-]+)\): [^]*ResourceInUseException/.exec(message) ?? [];
  if (cluster !== undefined) return clusterTaken(cluster);
  const [, code, said = ""] =
    /EKS Node Group \([^)]*\)[^]*?AsgInstanceLaunchFailures[^]*? (Insufficient\w*Capacity|VcpuLimitExceeded) - ([^]*?)(?:: provider=aws@|\n|$)/.exec(
      message,
    ) ?? [];
  if (code === undefined) return undefined;
  const { property, next = "", ...facts } = factsOf({ doing: "creating EKS Node Group", code, said: oneLine(said) });
  return { ...facts, property: eksWords(property ?? ""), next: eksWords(next) };
}

/** A cluster is found by its name, and there can be one of a name. */
function clusterTaken(cluster: string): FaultFacts {
  return {
    ...{ code: "eks-cluster-taken", property: "eks" },
    message: `There is a cluster ${cluster} in AWS that this stack's state does not know: an \`up\` was killed while AWS made it, or another machine's state has it. It is billed.`,
    next: `Where nobody else uses it, delete it (\`aws eks delete-nodegroup --cluster-name ${cluster} --nodegroup-name gpu\`, if it has one, then \`aws eks delete-cluster --name ${cluster}\`) and run this again; \`npx tuneup audit\` lists what else no stack owns.`,
  };
}

function noCapacity(said: string): FaultFacts {
  const [, type = "such machine", zone = "the zone"] =
    /sufficient (\S+) capacity in the Availability Zone you requested \(([\w-]+)\)/.exec(said) ?? [];
  return {
    ...{ code: "aws-no-capacity", property: "aws.instanceTypes" },
    message: `AWS has no free ${type} in ${zone} now.`,
    next: "Run this again later, or name another type in `aws.instanceTypes`; another zone needs another volume.",
  };
}

/** Text of AWS as one sentence, without codes that identify a request. */
export function oneLine(text: string): string {
  const line = text
    .replace(/Encoded authorization failure message: \S+/, "")
    .replaceAll(/\s+/g, " ")
    .trim()
    .slice(0, 500);
  return /[.!?]$/.test(line) ? line : `${line}.`;
}
