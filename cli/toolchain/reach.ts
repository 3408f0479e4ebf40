import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { z } from "zod";
import { allowedEnvironment } from "../../recipe/child-environment.ts";

const probes = z.array(z.object({ url: z.string(), ok: z.boolean(), reason: z.string().optional(), ms: z.number() }));

/** Which of `urls` answer within `limitMs`, in their order; proxies of the environment are used. Never throws for a network's fault. */
export async function reach(
  urls: readonly string[],
  limitMs: number,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<z.output<typeof probes>> {
  const script = fileURLToPath(new URL("./probe.mjs", import.meta.url));
  const { stdout } = await execa(process.execPath, [script, String(limitMs), ...urls], {
    env: allowedEnvironment(environment, { NODE_USE_ENV_PROXY: "1" }),
    extendEnv: false,
    timeout: limitMs + 10_000,
  });
  return probes.parse(JSON.parse(stdout));
}
