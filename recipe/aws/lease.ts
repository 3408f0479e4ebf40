import { type Tags, tagNames } from "./tags.ts";

const minute = 60_000;

/** A lease that is changed is given so long at least: AWS takes no time that is past. */
const notice = 5 * minute;

/** When a machine ends whatever happens. */
export interface LeaseEnd {
  /** In ISO 8601, to the minute: `2026-11-28T13:45:00Z`. */
  readonly expiry: string;
  /** Hours that it is made from. */
  readonly hours: number;
}

/**
 * End of the lease of a machine. A new one's begins now. The one that runs (`tags`: its own) keeps its beginning, so that `up` moves nothing; where
 * the hours are others than then, the end moves by the difference.
 */
export function leaseEnd(hours: number, now: Date, tags: Tags | undefined): LeaseEnd {
  const ends = Date.parse(tags?.[tagNames.expiry] ?? "");
  const had = Number(tags?.[tagNames.leaseHours]);
  if (Number.isNaN(ends) || Number.isNaN(had)) return { expiry: text(now.getTime() + hours * 60 * minute), hours };
  if (had === hours) return { expiry: text(ends), hours };
  const moved = ends + (hours - had) * 60 * minute;
  return { expiry: text(Math.max(moved, now.getTime() + notice)), hours };
}

/** The tags of a lease that goes on; undefined where it is over. Where a machine runs all the same, its end did not come, and it needs another one. */
export function unended(tags: Tags | undefined, now: Date): Tags | undefined {
  return Date.parse(tags?.[tagNames.expiry] ?? "") <= now.getTime() ? undefined : tags;
}

/** When a lease began, in milliseconds since 1970, by the tags that tell it; undefined where they do not. Its hours may have been changed since. */
export function leaseBegin(tags: Tags): number | undefined {
  const [ends, hours] = [Date.parse(tags[tagNames.expiry] ?? ""), Number(tags[tagNames.leaseHours])];
  return Number.isNaN(ends) || Number.isNaN(hours) ? undefined : ends - hours * 60 * minute;
}

/** Tags of the machine that tell its lease to the next `up`. */
export function leaseTags({ expiry, hours }: LeaseEnd): Tags {
  return { [tagNames.expiry]: expiry, [tagNames.leaseHours]: String(hours) };
}

/** The end as EventBridge Scheduler writes it, in UTC. */
export function scheduleAt({ expiry }: LeaseEnd): string {
  return `at(${expiry.replace("Z", "")})`;
}

/** Rounded up to a minute: no lease is shorter than was said. */
function text(time: number): string {
  return new Date(Math.ceil(time / minute) * minute).toISOString().replace(".000Z", "Z");
}
