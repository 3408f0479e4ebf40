import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import needs from "./test-packages.json" with { type: "json" };

/** Is one of `names` an executable on PATH? */
function present(names: readonly string[]): boolean {
  const folders = (process.env["PATH"] ?? "").split(":");
  return names.some((name) => folders.some((folder) => folder !== "" && existsSync(join(folder, name))));
}

/**
 * Brings the system packages of test-packages.json that `groups` need and PATH lacks: with apt as root on Debian or
 * Ubuntu, else the command is said. Returns false where something is still missing.
 */
export function ensureSystemPackages(groups: readonly string[]): boolean {
  const missing = needs.filter((need) => need.groups.some((group) => groups.includes(group)) && !present(need.anyOf));
  if (missing.length === 0) return true;
  const packages = missing.map((need) => need.apt);
  const reasons = missing.map((need) => `${need.apt} (${need.why})`).join(", ");
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...packages];
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    console.error(`Missing for the tests: ${reasons}. On Debian or Ubuntu: sudo ${install.join(" ")}`);
    return false;
  }
  console.error(`Installing with apt: ${reasons} ...`);
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const log = { env: environment, stdio: ["ignore", "ignore", "inherit"] as const };
  // A new machine has no package lists; stale ones name files that are gone.
  spawnSync("apt-get", ["update", "--quiet"], { env: environment, stdio: ["ignore", "ignore", "inherit"] });
  try {
    execFileSync("apt-get", install.slice(1), { ...log, stdio: [...log.stdio] });
  } catch (thrown) {
    console.error(`apt-get could not install them: ${(thrown as Error).message.split("\n")[0] ?? ""}`);
  }
  return missing.every((need) => present(need.anyOf));
}
