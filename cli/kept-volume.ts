import { awsCalls, type Ec2Volume } from "../hosts/aws-clients.ts";
import { awsTiming } from "../hosts/aws-timing.ts";
import type { Place } from "../hosts/aws-machine.ts";
import { dataVolume, deleteDataVolume } from "../hosts/aws-volume.ts";
import { tableSources } from "../recipe/aws/instance-types.ts";
import { volumeUsdMonth } from "../recipe/aws/prices.ts";
import type { Host } from "../hosts/host.ts";
import { Fault } from "../recipe/fault.ts";
import { say } from "./language/say.ts";

/** What `down` is to do with what an experiment has in AWS. */
interface Downing {
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

/** Has a stack a data volume? One of spot capacity has none, but for what it was before. */
export async function hasVolume(place: Place): Promise<boolean> {
  return (await dataVolume(awsCalls(place.region), place)) !== undefined;
}

/** What becomes of the volume. */
interface Choice {
  readonly purge: boolean;
  readonly signal: AbortSignal;
}

/**
 * After a stack for aws or eks was destroyed: deletes its data volume with `purge`, else leaves it. Returns a sentence that says what was deleted, or what is
 * kept, what it costs a month, and how to delete it. Throws the Faults of hosts/aws-volume.ts.
 */
export async function settleVolume(place: Place, { purge, signal }: Choice): Promise<string> {
  const calls = awsCalls(place.region);
  const waiting = { timing: awsTiming(process.env), tell: () => undefined, signal };
  const volume = await (purge ? deleteDataVolume(calls, place, waiting) : dataVolume(calls, place));
  const { stack: experiment, region } = place;
  if (volume === undefined) return say("down.volume.none", { experiment, region });
  const facts = { experiment, id: volume.id, sizeGiB: volume.sizeGiB };
  if (purge) return say("down.volume.purged", facts);
  return say("down.volume", { ...facts, price: priceOf(volume) });
}

function priceOf({ sizeGiB, type }: Ec2Volume): string {
  const usd = volumeUsdMonth(sizeGiB, type);
  if (usd === undefined) return say("audit.unpriced");
  return say("down.volume.price", { usd: usd.toFixed(2), region: tableSources.prices.region });
}
