import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { metadata, NoMetadata } from "../s3/metadata.ts";

/** What EC2 says two minutes before it takes a machine of spot capacity back. */
const notice = z.object({ action: z.enum(["terminate", "stop", "hibernate"]), time: z.string() });
export type SpotNotice = z.infer<typeof notice>;

/** As often as AWS advises. */
const usualPollMs = 5000;

/**
 * Waits until EC2 says that it takes this machine back, and returns that; undefined when `signal` is aborted before. A service that does not answer is asked
 * again: without it a machine goes without notice.
 */
export async function spotNotice(signal: AbortSignal, pollMs = usualPollMs): Promise<SpotNotice | undefined> {
  while (!signal.aborted) {
    const found = await ask().catch(() => undefined);
    if (found !== undefined) return found;
    await delay(pollMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
  return undefined;
}

async function ask(): Promise<SpotNotice | undefined> {
  const service = await metadata();
  try {
    return notice.safeParse(JSON.parse(await service("spot/instance-action"))).data;
  } catch (thrown) {
    if (thrown instanceof NoMetadata) return undefined;
    throw thrown;
  }
}
