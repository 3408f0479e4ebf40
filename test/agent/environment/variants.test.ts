import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { baseLock, environmentLock, torchLock, variantLock } from "../../../agent/environment/identity.ts";
import { variantFacts, variantNames } from "../../../recipe/variants.ts";

const packagesOf = (lock: string): string[] => [...lock.matchAll(/^([a-z0-9._-]+)==/gm)].map(([, name = ""]) => name);

test("an environment without extras is what it was before there were any", () => {
  const locks = ["base", "torch"].map((name) =>
    readFileSync(new URL(`../../../agent/environment/${name}.lock`, import.meta.url), "utf8"),
  );
  const before = createHash("sha256").update(locks.join("\0")).digest("hex");
  expect(environmentLock()).toBe(before);
  expect(environmentLock([])).toBe(before);
});

test("extras make another environment, whatever their order", () => {
  expect(environmentLock(["badam"])).not.toBe(environmentLock());
  expect(environmentLock(["badam"])).not.toBe(environmentLock(["liger"]));
  expect(environmentLock(["liger", "badam", "liger"])).toBe(environmentLock(["badam", "liger"]));
});

test.each(variantNames)("the lock of %s has its packages with hashes, and none of the base's", (name) => {
  const lock = variantLock(name);
  const packages = packagesOf(lock);
  expect(packages).toEqual(expect.arrayContaining([...variantFacts[name].packages]));
  const base = new Set([...packagesOf(baseLock()), ...packagesOf(torchLock())]);
  expect(packages.filter((name) => base.has(name))).toEqual([]);
  for (const entry of lock.split(/\n(?=[a-z])/).slice(1)) expect(entry).toMatch(/--hash=sha256:[0-9a-f]{64}/);
});

test("two variants never pin two versions of one package", () => {
  const pins = new Map<string, string>();
  for (const name of variantNames) {
    for (const [, package_ = "", version = ""] of variantLock(name).matchAll(/^([a-z0-9._-]+)==(\S+)/gm)) {
      expect(pins.get(package_) ?? version, package_).toBe(version);
      pins.set(package_, version);
    }
  }
});
