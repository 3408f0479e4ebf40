import { fileURLToPath } from "node:url";
import { backendOf, ensurePassphrase, prepareBackend, stateUrl } from "./backend.ts";
import type { PulumiTool } from "./route.ts";

const ownPrograms = fileURLToPath(new URL("../../node_modules/.bin", import.meta.url));

/**
 * What a Pulumi process needs on top of the caller's variables: PATH with the CLI, its language host and Node 24 first,
 * and, where the user has no backend of their own, ours in `home` (created here) with its passphrase file. Paths only,
 * no secret. Throws Fault where `home` can't be used or the passphrase of existing stacks is gone.
 *
 * Automatic plugin acquisition stays on: the local experiment needs no download (its plugin is named by path), and the
 * other targets need Pulumi's aws and kubernetes plugins.
 */
export async function pulumiEnvironment(
  home: string,
  tool: PulumiTool,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Record<string, string>> {
  const inherited = (environment["PATH"] ?? "").split(":").filter((folder) => folder !== "");
  const path = [...new Set([ownPrograms, tool.directory, tool.languageDirectory, ...inherited])].join(":");
  const shared = {
    PATH: path,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    NODE_COMPILE_CACHE: environment["NODE_COMPILE_CACHE"] ?? `${home}/cache/node`,
  };
  const backend = await backendOf(home, environment);
  if (backend.kind === "user") return shared;
  await prepareBackend(home);
  const ours = { ...shared, PULUMI_BACKEND_URL: stateUrl(home) };
  if (environment["PULUMI_CONFIG_PASSPHRASE"] !== undefined || environment["PULUMI_CONFIG_PASSPHRASE_FILE"])
    return ours;
  return { ...ours, PULUMI_CONFIG_PASSPHRASE_FILE: await ensurePassphrase(home) };
}
