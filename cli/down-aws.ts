import { dataVolumes, deleteVolume } from "../hosts/aws-volume.ts";
import type { Host } from "../hosts/host.ts";
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

/** Throws Fault `purge-unseen` where a volume is to be deleted and no machine is there that could tell what lies on it alone. */
export async function requireSeen(host: Host, { experiment, purge, discard }: Downing): Promise<void> {
  if (!purge || discard || (await host.isUp?.()) !== false) return;
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
