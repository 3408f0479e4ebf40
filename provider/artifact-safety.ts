import { safetyOf } from "../hosts/artifact.ts";
import type { Host } from "../hosts/host.ts";
import { Fault } from "../recipe/fault.ts";
import { homeOf } from "../recipe/home.ts";
import { type HostSpec, hostSpec, placeOf } from "../recipe/host.ts";
import { layoutOf } from "../recipe/layout.ts";

/** Runs that the program declared in this process, with their hosts. */
const kept = new Set<string>();

/** Notes that a run stays: `check` comes before whatever is done, and only where a program runs, so never in a destroy. */
export function keepRun(host: unknown, run: string): void {
  const spec = hostSpec.safeParse(host).data;
  if (spec !== undefined) kept.add(nameOf(spec, run));
}

/** Does the run stay, so that its endpoint may go without a question (`serve.enabled: false`, `wait: false`)? */
export function isKept(host: HostSpec, run: string): boolean {
  return kept.has(nameOf(host, run));
}

function nameOf(host: HostSpec, run: string): string {
  return `${placeOf(host)} ${run}`;
}

/** A run, and may it be let go. */
interface Leaving {
  readonly run: string;
  readonly experiment: string;
  readonly discard?: boolean | undefined;
}

/**
 * What a complete run left must not be on the host alone when it is destroyed: each resource that goes with it asks before it ends
 * anything. `tuneup down` asked before, and says by the variable what it was told. Throws Fault `artifact-unsafe`.
 */
export async function requireSafe({ run, experiment, discard }: Leaving, host: Host): Promise<void> {
  if (discard === true || host.isHere || process.env["TUNEUP_DISCARD"] === "1") return;
  if ((await safetyOf(host, run, homeOf(process.env))) !== "unsafe") return;
  const { output } = layoutOf(host.dataDirectory).run(run);
  throw new Fault({
    code: "artifact-unsafe",
    property: "teardown.discard",
    message: `what run ${run} left lies on ${host.description} alone, in ${output}.`,
    next:
      `\`npx tuneup fetch ${experiment}\` brings it to this machine. To let it go, set \`tuneup:teardown: {discard: true}\` and ` +
      `\`npx tuneup up ${experiment}\` first, or take it down by \`npx tuneup down ${experiment} --discard\`.`,
  });
}
