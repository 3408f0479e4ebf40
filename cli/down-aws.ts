import { openAws } from "../hosts/aws.ts";
import { dataVolumes, deleteVolume } from "../hosts/aws-volume.ts";
import { otherPrices } from "../recipe/aws/prices.ts";
import { Fault } from "../recipe/fault.ts";
import type { AwsHostSpec } from "../recipe/host.ts";
import { say } from "./language/say.ts";

/** What `down` is to do with what an experiment has in AWS. */
export interface Downing {
  readonly experiment: string;
  readonly purge: boolean;
  readonly discard: boolean;
}

/**
 * Is there a machine to ask what lies on it alone? Without one nothing computes, and the volume keeps what it has. Throws Fault `purge-unseen`
 * where that is to be deleted unseen.
 */
export async function canAsk(spec: AwsHostSpec, { experiment, purge, discard }: Downing): Promise<boolean> {
  if (await openAws(spec).isUp()) return true;
  if (!purge || discard) return false;
  throw new Fault({
    code: "purge-unseen",
    message: `No machine of ${experiment} runs, so nobody can tell whether what its runs left lies on the volume alone.`,
    next: `\`npx tuneup down ${experiment} --purge --discard\` deletes the volume all the same.`,
  });
}

/** After the machine is gone: what is kept and what that costs, or that it is deleted. Throws the Faults of aws-faults.ts. */
export async function afterDown(spec: AwsHostSpec, { experiment, purge }: Downing): Promise<string[]> {
  const volumes = await dataVolumes(spec);
  if (volumes.length === 0) return [say("down.aws.nothing", { experiment, region: spec.region })];
  const lines: string[] = [];
  for (const { id, sizeGiB, type } of volumes) {
    const place = { experiment, id, gib: sizeGiB, region: spec.region };
    if (purge) await deleteVolume(id, spec.region);
    const price = type === "gp2" ? otherPrices.volumeGiBMonth.gp2 : otherPrices.volumeGiBMonth.gp3;
    lines.push(
      purge ? say("down.aws.deleted", place) : say("down.aws.kept", { ...place, usd: (sizeGiB * price).toFixed(2) }),
    );
  }
  return lines;
}
