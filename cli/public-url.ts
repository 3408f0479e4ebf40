import { LocalWorkspace, StackNotFoundError } from "./automation.ts";
import { interruptSignal } from "./interrupt.ts";
import { projectFolder } from "./project.ts";
import { pulumiOfOwnGroup } from "./pulumi-command.ts";
import { preparePulumi } from "./toolchain/prepare.ts";
import { told } from "./update.ts";

/** Does an experiment ask for a load balancer? `stated`: the values of its file under `tuneup:`. */
export function asksForPublicChat({ target, aws }: Readonly<Record<string, unknown>>): boolean {
  return target === "aws" && typeof aws === "object" && aws !== null && "publicChat" in aws;
}

/**
 * Base URL of the load balancer before an experiment's endpoint, from the outputs of its stack; undefined where it has none. Throws Fault with what
 * Pulumi says.
 */
export async function publicUrlOf(experiment: string): Promise<string | undefined> {
  const { tool, variables } = await preparePulumi(interruptSignal());
  Object.assign(process.env, variables);
  try {
    const place = { stackName: experiment, workDir: projectFolder };
    const stack = await LocalWorkspace.selectStack(place, { pulumiCommand: pulumiOfOwnGroup(tool) });
    return publicUrlIn({ publicUrl: (await stack.outputs())["publicUrl"]?.value });
  } catch (thrown) {
    if (thrown instanceof StackNotFoundError) return undefined;
    throw told(thrown);
  }
}

/** The same in outputs that are at hand. */
export function publicUrlIn(outputs: Readonly<Record<string, unknown>>): string | undefined {
  const url = outputs["publicUrl"];
  return typeof url === "string" ? url : undefined;
}
