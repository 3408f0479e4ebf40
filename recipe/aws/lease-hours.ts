import type { AwsConfig } from "./config.ts";

/**
 * Hours until the lease ends a machine: `aws.lease.hours`, or the hours that `aws.lease.usd` pays for where those are fewer. `usdPerHour`: all that is
 * billed while it is on (`costOf`). Whole minutes, rounded down: no lease costs more than was said; one minute at least.
 */
export function leaseHours({ hours, usd }: AwsConfig["lease"], usdPerHour: number): number {
  if (usd === undefined) return hours;
  const paid = Math.max(1, Math.floor((usd / usdPerHour) * 60)) / 60;
  return Math.min(hours, paid);
}
