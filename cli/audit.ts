import { readdir, readFile } from "node:fs/promises";
import { inventory } from "../hosts/aws-inventory.ts";
import { type Orphan, orphansOf } from "../recipe/aws/audit.ts";
import { tableSources } from "../recipe/aws/instance-types.ts";
import type { HostSpec } from "../recipe/host.ts";
import { homeOf } from "../recipe/home.ts";
import { say } from "./language/say.ts";
import { padColumns } from "./language/width.ts";
import { experiments, hostSpecFor } from "./project.ts";
import { backendOf } from "./toolchain/backend.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** What was found in the regions that were looked at. */
export interface Audit {
  readonly regions: readonly string[];
  readonly orphans: readonly (Orphan & { readonly region: string })[];
  /** US dollars for a month, of those whose price is known. */
  readonly usdMonth: number;
  /** How it is known what a stack owns. `names`: by the experiments' names alone, since the states are in another backend. */
  readonly owned: "states" | "names";
}

/**
 * Every resource of ours that no stack of this project owns, with its price. `regions`: default those of all experiments for aws and eks, else us-east-1.
 * Throws the Faults of hosts/aws-faults.ts.
 */
export async function audit(asked: readonly string[], environment: Environment): Promise<Audit> {
  const regions = asked.length > 0 ? [...new Set(asked)] : await knownRegions();
  const states = await statesOf(environment);
  const names = await experiments();
  const each = await Promise.all(
    regions.map(async (region) => {
      const found = await inventory(region);
      const orphans = orphansOf(found, states ?? []).map((orphan) => ({ region, ...orphan }));
      return states === undefined ? orphans.filter(({ stack }) => !names.includes(stack)) : orphans;
    }),
  );
  const orphans = each.flat();
  const usdMonth = orphans.reduce((sum, one) => sum + (one.usdMonth ?? 0), 0);
  return { regions, orphans, usdMonth, owned: states === undefined ? "names" : "states" };
}

/** Regions of the experiments for aws and eks. One whose file has a wrong value says nothing here. */
async function knownRegions(): Promise<string[]> {
  const specs = await Promise.all(
    (await experiments()).map((experiment) => hostSpecFor(experiment).catch(() => undefined)),
  );
  const regions = specs.flatMap((spec) => regionOf(spec) ?? []);
  return regions.length === 0 ? [tableSources.prices.region] : [...new Set(regions)].sort();
}

function regionOf(spec: HostSpec | undefined): string | undefined {
  if (spec?.kind === "kubernetes") return spec.eks?.region;
  return spec?.kind === "aws" ? spec.region : undefined;
}

/** Texts of the stacks' states in our own backend; undefined where the user has another. */
async function statesOf(environment: Environment): Promise<string[] | undefined> {
  const home = homeOf(environment);
  if ((await backendOf(home, environment)).kind !== "ours") return undefined;
  const folder = `${home}/state/.pulumi/stacks`;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".json"));
  return Promise.all(files.map(({ parentPath, name }) => readFile(`${parentPath}/${name}`, "utf8")));
}

/** The audit for people. */
export function auditText({ regions, orphans, usdMonth, owned }: Audit): string {
  const places = regions.join(", ");
  const lines = orphans.length === 0 ? [say("audit.none", { regions: places })] : rowsOf(orphans);
  if (orphans.length > 0) lines.push(say("audit.sum", { count: orphans.length, usd: usdMonth.toFixed(2) }));
  if (orphans.length > 0) lines.push(say("audit.next"));
  if (regions.some((region) => region !== tableSources.prices.region)) {
    lines.push(say("audit.prices", { region: tableSources.prices.region }));
  }
  if (owned === "names") lines.push(say("audit.names"));
  return `${lines.join("\n")}\n`;
}

function rowsOf(orphans: Audit["orphans"]): string[] {
  const cells = orphans.map(({ region, kind, id, stack, usdMonth }) => [
    ...[region, kind, id, stack],
    usdMonth === null ? say("audit.unpriced") : say("audit.price", { usd: usdMonth.toFixed(2) }),
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  return cells.map((row) => row.map((cell, column) => padColumns(cell, widths[column] ?? 0)).join("  "));
}
