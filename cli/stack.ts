import { LocalWorkspace, type Stack, StackAlreadyExistsError } from "@pulumi/pulumi/automation/index.js";
import { hostSpecFor, projectFolder, stackFile } from "./project.ts";
import { pulumiOfOwnGroup } from "./pulumi-command.ts";
import { recover, removeTornFiles } from "./recover.ts";
import { preparePulumi } from "./toolchain/prepare.ts";
import { cancelled, told } from "./update.ts";

/**
 * The experiment's stack, created if it is new, with Pulumi set up and whatever a killed update left cleared.
 * `say` gets a sentence for each thing that was cleared.
 */
export async function openStack(experiment: string, say: (line: string) => void, signal: AbortSignal): Promise<Stack> {
  await stackFile(experiment);
  const { variables } = await preparePulumi(signal);
  // Our own environment, so that the Automation API finds the CLI by the same PATH as its children.
  Object.assign(process.env, variables);
  // Provider and agent tell every half second what they do; the display shows the latest.
  process.env["TUNEUP_PROGRESS"] = "live";
  // Refresh and destroy run no program: the provider reaches the host as the stack file says now, not as it did when the state was written.
  process.env["TUNEUP_HOST"] = JSON.stringify(await hostSpecFor(experiment));
  try {
    await removeTornFiles(experiment, say);
    const stack = await openOrCreate(experiment);
    await recover(stack, say);
    return stack;
  } catch (thrown) {
    throw signal.aborted ? cancelled() : told(thrown);
  }
}

async function openOrCreate(stackName: string): Promise<Stack> {
  const place = { stackName, workDir: projectFolder };
  const options = { pulumiCommand: await pulumiOfOwnGroup() };
  try {
    return await LocalWorkspace.createOrSelectStack(place, options);
  } catch (thrown) {
    // Another `up` was faster to create it.
    if (!(thrown instanceof StackAlreadyExistsError)) throw thrown;
    return LocalWorkspace.selectStack(place, options);
  }
}
