import { rm } from "node:fs/promises";
import { basename } from "node:path";
import { unusableGpu } from "../checks/usable-gpus.ts";
import type { Host } from "../hosts/host.ts";
import { Fault } from "../recipe/fault.ts";
import { homeOf } from "../recipe/home.ts";
import { layoutOf } from "../recipe/layout.ts";
import type { CommandInput, CommandOutput } from "../recipe/protocol.ts";
import type { Work } from "./kind.ts";
import { collectWheels } from "./wheels/collect.ts";
import type { PackageSources } from "./wheels/sources.ts";
import { targetOf } from "./wheels/target.ts";

type Input = Omit<CommandInput<"environment-ensure">, "dataDirectory" | "wheels">;

/**
 * Makes the environment on a host that has no way to the package index: this machine fetches the files of the locked set for the host's Python,
 * platform and driver, sends them, and the agent there installs from them alone. Both halves go on where an earlier try ended. `sources`: where the
 * files come from, default as this machine's variables say. Throws the Faults of collectWheels, `python-missing`, and the agent's.
 */
export async function pushEnvironment(
  { device, extras = [], engine }: Input,
  { host, options }: Work,
  sources?: PackageSources,
): Promise<CommandOutput<"environment-ensure">> {
  const facts = await host.run("preflight", { extras }, options);
  const unusable = unusableGpu(device, facts);
  if (unusable !== undefined) throw new Fault(unusable);
  const target = targetOf(facts, host.description);
  const driver = device === "cpu" ? undefined : facts.gpus[0]?.driver;
  const context = {
    progress: options.onProgress ?? (() => undefined),
    log: options.onLog ?? (() => undefined),
    data: () => undefined,
    signal: options.signal ?? new AbortController().signal,
  };
  context.log(
    "info",
    `${host.description} does not reach the package index: the packages for its Python ${target.python} are fetched here and sent.`,
  );
  const { folder, files } = await collectWheels(
    { target, driver, extras, engine, home: homeOf(process.env) },
    context,
    sources,
  );
  const there = `${layoutOf(host.dataDirectory).wheels}/${basename(folder)}`;
  await send(host, { here: folder, there, files: [...files] }, options);
  const wanted = { device, extras, ...(engine === undefined ? {} : { engine }) };
  return host.run("environment-ensure", { ...wanted, wheels: there }, options);
}

async function send(host: Host, freight: Parameters<Host["push"]>[0], options: Work["options"]): Promise<void> {
  try {
    await host.push(freight, options);
  } catch (thrown) {
    // The file is damaged here, or was: the next try fetches it again.
    if (thrown instanceof Fault && thrown.code === "transfer-damaged") await rm(freight.here, { recursive: true });
    throw thrown;
  }
}
