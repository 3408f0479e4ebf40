import { Fault } from "../recipe/fault.ts";
import type { AwsCalls, Ec2Machine } from "./aws-clients.ts";
import { pause, type Place, type Waiting } from "./aws-machine.ts";

/** What Pulumi's state of a stack says of its machines. */
export interface Recorded {
  /** Ids of the machines that it owns, those that are to be deleted too. */
  readonly owned: readonly string[];
  /** Values of the tag `tuneup:expiry` of those whose creation was begun, and its end never written down. */
  readonly begun: readonly string[];
  /** Names of the Auto Scaling groups that it owns, and of those whose creation was begun, and its end never written down. */
  readonly groups?: readonly string[];
  readonly begunGroups?: readonly string[];
}

/** Machines of a stack that its state does not own. */
export interface Unrecorded {
  /** Made by an `up` that was killed before it could write that down: nothing was ever sent there. */
  readonly cutOff: readonly Ec2Machine[];
  /** Whose they are is not known here: another state may own them. */
  readonly strangers: readonly Ec2Machine[];
}

/** Machines of the stack that cost something and are not in its state. Throws the Faults of aws-faults.ts. */
export async function unrecordedMachines(
  calls: Pick<AwsCalls, "machines">,
  { stack }: Place,
  { owned, begun, groups = [], begunGroups = [] }: Recorded,
): Promise<Unrecorded> {
  // What a group of ours started is ours, and in no state; one that was begun is ended as a whole.
  const known = [...groups, ...begunGroups];
  const isOwned = ({ id, group }: Ec2Machine): boolean =>
    owned.includes(id) || (group !== undefined && known.includes(group));
  const there = (await calls.machines(stack)).filter((machine) => !isEnding(machine.state) && !isOwned(machine));
  const isBegun = ({ expiry }: Ec2Machine): boolean => expiry !== undefined && begun.includes(expiry);
  return { cutOff: there.filter(isBegun), strangers: there.filter((machine) => !isBegun(machine)) };
}

/**
 * Terminates a machine and waits until it is gone, so that quota and volume are free for the next. Throws Fault `machine-lingers`, `cancelled`, and
 * those of the calls.
 */
export async function endMachine(
  calls: Pick<AwsCalls, "machines" | "terminate">,
  { stack, region }: Place,
  { id }: Ec2Machine,
  waiting: Waiting,
): Promise<void> {
  const began = performance.now();
  await calls.terminate(id);
  for (;;) {
    const machine = (await calls.machines(stack)).find((one) => one.id === id);
    if (machine === undefined || machine.state === "terminated") return;
    if (performance.now() - began > waiting.timing.patience) {
      throw new Fault({
        code: "machine-lingers",
        message: `${id} (${region}) was told to end and is still ${machine.state} after ${Math.round(waiting.timing.patience / 60_000)} minutes.`,
        next: "Run this again later: AWS ends it by itself.",
        blame: "infrastructure",
      });
    }
    await pause(waiting);
  }
}

/** Why no machine is made beside one that another state may own. */
export function machineUnowned({ id, type, group }: Ec2Machine, { stack, region }: Place): Fault {
  const end =
    group === undefined
      ? `\`aws ec2 terminate-instances --instance-ids ${id} --region ${region}\`; its volume stays`
      : `\`aws autoscaling delete-auto-scaling-group --auto-scaling-group-name ${group} --force-delete --region ${region}\`; ended alone it is followed by another; its bucket stays`;
  return new Fault({
    code: "machine-unowned",
    property: "aws",
    message: `${id} (${type}, ${region}) has the tags of ${stack}, and this state does not own it: it may be somebody else's stack of the same name, or its state was lost.`,
    next: `If it is nobody's, end it (${end}); else give this experiment another name (\`npx tuneup new NAME --from ${stack}\`).`,
  });
}

function isEnding(state: Ec2Machine["state"]): boolean {
  return state === "shutting-down" || state === "terminated";
}
