import { awsCalls, type Ec2Volume } from "../hosts/aws-clients.ts";
import { awsTiming } from "../hosts/aws-timing.ts";
import { dataVolume, deleteDataVolume, usdMonthOf } from "../hosts/aws-volume.ts";
import { tableSources } from "../recipe/aws/instance-types.ts";
import type { AwsHostSpec } from "../recipe/host.ts";
import { say } from "./language/say.ts";

/** What becomes of the volume. */
interface Choice {
  readonly purge: boolean;
  readonly signal: AbortSignal;
}

/**
 * After a stack for aws was destroyed: deletes its data volume with `purge`, else leaves it. Returns a sentence that says what was deleted, or what is
 * kept, what it costs a month, and how to delete it. Throws the Faults of hosts/aws-volume.ts.
 */
export async function settleVolume(place: AwsHostSpec, { purge, signal }: Choice): Promise<string> {
  const calls = awsCalls(place.region);
  const waiting = { timing: awsTiming(process.env), tell: () => undefined, signal };
  const volume = await (purge ? deleteDataVolume(calls, place, waiting) : dataVolume(calls, place));
  const { stack: experiment, region } = place;
  if (volume === undefined) return say("down.volume.none", { experiment, region });
  const facts = { experiment, id: volume.id, sizeGiB: volume.sizeGiB };
  if (purge) return say("down.volume.purged", facts);
  return say("down.volume", { ...facts, price: priceOf(volume) });
}

function priceOf(volume: Ec2Volume): string {
  const usd = usdMonthOf(volume);
  if (usd === undefined) return say("audit.unpriced");
  return say("down.volume.price", { usd: usd.toFixed(2), region: tableSources.prices.region });
}
