import { LocalWorkspace, type Stack, StackAlreadyExistsError } from "./automation.ts";
import { hostSpecFor, projectFolder, stackFile } from "./project.ts";
import { pulumiOfOwnGroup } from "./pulumi-command.ts";
import type { HostSpec } from "../recipe/host.ts";
import type { Purpose } from "./leftover-machines.ts";
import { type Recovery, recover, removeTornFiles } from "./recover.ts";
import { preparePulumi } from "./toolchain/prepare.ts";
import type { PulumiTool } from "./toolchain/route.ts";
import { cancelled, told } from "./update.ts";

/**
 * The experiment's stack, created if it is new, with Pulumi set up and whatever a killed update left cleared.
 * `say` gets a sentence for each thing that was cleared. `purpose`: what is done with it; a preview ends nothing.
 */
export async function openStack(
  experiment: string,
  purpose: Purpose | "preview",
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Stack> {
  await stackFile(experiment);
  const { tool, variables } = await preparePulumi(signal);
  // Our own environment, so that the Automation API finds the CLI by the same PATH as its children.
  Object.assign(process.env, variables);
  // Provider and agent tell every half second what they do; the display shows the latest.
  process.env["TUNEUP_PROGRESS"] = "live";
  // Refresh and destroy run no program: the provider reaches the host as the stack file says now, not as it did when the state was written.
  const spec = await hostSpecFor(experiment);
  process.env["TUNEUP_HOST"] = JSON.stringify(spec);
  try {
    await removeTornFiles(experiment, say);
    const stack = await openOrCreate(experiment, tool);
    await recover(stack, recoveryOf(spec, { purpose, say, signal }));
    return stack;
  } catch (thrown) {
    throw signal.aborted ? cancelled() : told(thrown);
  }
}

function recoveryOf(
  spec: HostSpec,
  { purpose, say, signal }: { purpose: Purpose | "preview"; say: (line: string) => void; signal: AbortSignal },
): Recovery {
  if (spec.kind !== "aws") return { say };
  if (purpose === "preview") return { say, clears: false };
  return {
    say,
    before: async (state) => {
      const { endLeftoverMachines } = await import("./leftover-machines.ts");
      await endLeftoverMachines(spec, state, { purpose, say, signal });
    },
  };
}

async function openOrCreate(stackName: string, tool: PulumiTool): Promise<Stack> {
  const place = { stackName, workDir: projectFolder };
  const options = { pulumiCommand: pulumiOfOwnGroup(tool) };
  const stack = await LocalWorkspace.createOrSelectStack(place, options).catch((thrown: unknown) => {
    // Another `up` was faster to create it.
    if (!(thrown instanceof StackAlreadyExistsError)) throw thrown;
    return LocalWorkspace.selectStack(place, options);
  });
  // After each update the API asks the CLI for both, in three processes of 0.3 s. Whoever wants to know has it from the engine's events.
  return Object.assign(stack, { outputs: () => Promise.resolve({}), info: () => Promise.resolve(undefined) });
}
