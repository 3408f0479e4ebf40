import fc from "fast-check";
import { expect, test } from "vitest";
import { leaseEnd, leaseTags, scheduleAt } from "../../../recipe/aws/lease.ts";

const hours = fc.integer({ min: 1, max: 10_000 });
const times = fc.date({ min: new Date("2026-01-01"), max: new Date("2090-01-01"), noInvalidDate: true });

test("a new lease is never shorter than was said, and at most a minute longer", () => {
  fc.assert(
    fc.property(hours, times, (given, now) => {
      const milliseconds = Date.parse(leaseEnd(given, now, undefined).expiry) - now.getTime() - given * 3_600_000;
      expect(milliseconds).toBeGreaterThanOrEqual(0);
      expect(milliseconds).toBeLessThan(60_000);
    }),
  );
});

test("a lease that runs is where it was at every later time, also when it is over", () => {
  fc.assert(
    fc.property(hours, times, times, (given, began, now) => {
      const first = leaseEnd(given, began, undefined);
      expect(leaseEnd(given, now, leaseTags(first))).toEqual(first);
    }),
  );
});

test("other hours move the end from where the lease began, never into the past", () => {
  const now = new Date("2026-11-27T12:00:30Z");
  const tags = leaseTags({ expiry: "2026-11-27T14:00:00Z", hours: 4 });
  expect(leaseEnd(8, now, tags)).toEqual({ expiry: "2026-11-27T18:00:00Z", hours: 8 });
  expect(leaseEnd(1, now, tags)).toEqual({ expiry: "2026-11-27T12:06:00Z", hours: 1 });
});

test("tags that are no lease are none", () => {
  const now = new Date("2026-11-27T12:00:00Z");
  for (const tags of [{}, { "tuneup:expiry": "kept" }, { "tuneup:expiry": "2026-11-27T14:00:00Z" }]) {
    expect(leaseEnd(2, now, tags).expiry).toBe("2026-11-27T14:00:00Z");
  }
});

test("EventBridge Scheduler gets the time without a zone", () => {
  expect(scheduleAt({ expiry: "2026-11-27T14:00:00Z", hours: 1 })).toBe("at(2026-11-27T14:00:00)");
});
