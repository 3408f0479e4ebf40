import { existsSync } from "node:fs";

/**
 * In a checkout, builds the agent anew where its sources have changed since (a `git pull`, an edit, a build that failed
 * during `npm ci`); a tenth of a second where they have not. An installed package brings it built.
 */
export async function ensureAgentBuilt(): Promise<void> {
  if (!existsSync(new URL("../../scripts/build.ts", import.meta.url))) return;
  const { buildAgent } = await import("../../scripts/build.ts");
  await buildAgent();
}
