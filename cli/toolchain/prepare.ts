import { homeOf } from "../../recipe/home.ts";
import { ensureAgentBuilt } from "./agent-build.ts";
import { pulumiEnvironment } from "./environment.ts";
import { ensurePulumi } from "./pulumi.ts";
import type { PulumiTool } from "./route.ts";

/** All that a Pulumi process of ours needs, set up. */
export interface Prepared {
  /** Our data directory. */
  readonly home: string;
  readonly tool: PulumiTool;
  /** What goes on top of the caller's variables, see `pulumiEnvironment`. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Builds the agent where it is stale, installs Pulumi where it is missing, creates our backend where it is used. */
export async function preparePulumi(signal: AbortSignal): Promise<Prepared> {
  const home = homeOf(process.env);
  await ensureAgentBuilt();
  const tool = await ensurePulumi(home, { signal });
  return { home, tool, variables: await pulumiEnvironment(home, tool) };
}
