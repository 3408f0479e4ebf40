import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { findProgram } from "./programs.ts";
import packages from "./test-packages.json" with { type: "json" };

/** A system package that groups of tests need. */
export interface Need {
  readonly groups: readonly string[];
  /** Programs of which one is enough. */
  readonly anyOf: readonly string[];
  /** See `Wanted` in programs.ts. */
  readonly answers?: readonly string[];
  /** Name of its package on Debian. */
  readonly apt: string;
  readonly why: string;
  /** What else to do where apt has no such package that works. */
  readonly otherwise?: string;
}

const needs: readonly Need[] = packages;

/** How packages are installed and programs are looked for. Default: this machine's. */
export interface Machine {
  readonly path?: string;
  /** May packages be installed here? */
  readonly canInstall: boolean;
  /** Runs apt-get with these words; false where it failed. */
  readonly aptGet: (words: readonly string[]) => boolean;
  readonly say: (line: string) => void;
}

const thisMachine: Machine = {
  canInstall: process.getuid?.() === 0 && existsSync("/usr/bin/apt-get"),
  aptGet: (words) =>
    spawnSync("apt-get", words, {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      stdio: ["ignore", "ignore", "inherit"],
    }).status === 0,
  say: (line) => console.error(line),
};

const install = ["install", "--yes", "--no-install-recommends"];

/**
 * Brings the system packages of test-packages.json that `groups` need and this machine lacks: with apt as root on Debian or
 * Ubuntu, else the command is said. Each is installed by itself: one that is not to be had takes no other down. Returns false
 * where something is still missing, and says what.
 */
export function ensureSystemPackages(groups: readonly string[], machine: Machine = thisMachine): boolean {
  const isMissing = (need: Need): boolean => findProgram(need, machine.path) === undefined;
  const missing = needs.filter((need) => need.groups.some((group) => groups.includes(group)) && isMissing(need));
  if (missing.length === 0) return true;
  const reasons = missing.map((need) => `${need.apt} (${need.why})`).join(", ");
  if (!machine.canInstall) {
    const command = ["sudo", "apt-get", ...install, ...missing.map((need) => need.apt)].join(" ");
    machine.say(`Missing for the tests: ${reasons}. On Debian or Ubuntu: ${command}`);
    for (const { otherwise } of missing) if (otherwise !== undefined) machine.say(otherwise);
    return false;
  }
  machine.say(`Installing with apt: ${reasons} ...`);
  // A new machine has no package lists; stale ones name files that are gone.
  machine.aptGet(["update", "--quiet"]);
  for (const need of missing) machine.aptGet([...install, need.apt]);
  const left = missing.filter(isMissing);
  for (const { apt, anyOf, why, otherwise } of left) {
    machine.say(`apt-get brought no ${anyOf.join(" or ")} with ${apt}: ${why}. ${otherwise ?? "Install it by hand."}`);
  }
  return left.length === 0;
}
