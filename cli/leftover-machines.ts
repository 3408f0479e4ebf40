import { z } from "zod";
import { awsCalls } from "../hosts/aws-clients.ts";
import { deleteGroup } from "../hosts/aws-group.ts";
import { awsTiming } from "../hosts/aws-timing.ts";
import { endMachine, machineUnowned, type Recorded, unrecordedMachines } from "../hosts/aws-unrecorded.ts";
import { tagNames } from "../recipe/aws/tags.ts";
import type { AwsHostSpec } from "../recipe/host.ts";
import { say as sentence } from "./language/say.ts";

/** What is about to be done with a stack: an `up` must not find a machine that is not its own. */
export type Purpose = "up" | "down";

const machineType = "aws:ec2/instance:Instance";
const groupType = "aws:autoscaling/group:Group";

/** A group has a list of tags, which say nothing here: it has its name from the stack. */
const inputs = z.object({ tags: z.unknown().optional(), name: z.string().nullish() }).nullish();

const machineTags = z.record(z.string(), z.unknown());

const deployment = z.object({
  resources: z.array(z.object({ type: z.string(), id: z.string().nullish() })).nullish(),
  pending_operations: z
    .array(
      z.object({
        type: z.string(),
        resource: z.object({
          type: z.string(),
          inputs,
        }),
      }),
    )
    .nullish(),
});

/** What a state says of its machines. `state`: the deployment as Pulumi exports it. */
export function recordedMachines(state: unknown): Recorded {
  const { resources, pending_operations: pending } = deployment.parse(state);
  const idsOf = (wanted: string): string[] =>
    (resources ?? []).flatMap(({ type, id }) => (type === wanted && id != null ? [id] : []));
  const begunOf = (wanted: string) =>
    (pending ?? []).flatMap(({ type, resource }) =>
      type === "creating" && resource.type === wanted ? [resource.inputs ?? {}] : [],
    );
  const begun = begunOf(machineType).flatMap(({ tags }) => {
    const expiry = machineTags.safeParse(tags).data?.[tagNames.expiry];
    return typeof expiry === "string" ? [expiry] : [];
  });
  const begunGroups = begunOf(groupType).flatMap(({ name }) => (name == null ? [] : [name]));
  return { owned: idsOf(machineType), begun, groups: idsOf(groupType), begunGroups };
}

/**
 * Ends the machines that a killed `up` made and never wrote down, each said in a sentence; the volume is not touched. Call it before the record of
 * what was cut off is cleared: that record is how such a machine is told from one that another state owns. Those are left: before an `up` throws
 * Fault `machine-unowned`, before a `down` says so. Throws the Faults of hosts/aws-faults.ts too.
 */
export async function endLeftoverMachines(
  place: AwsHostSpec,
  state: unknown,
  { purpose, say, signal }: { purpose: Purpose; say: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  const calls = awsCalls(place.region);
  const recorded = recordedMachines(state);
  const waiting = { timing: awsTiming(process.env), tell: () => undefined, signal };
  for (const id of recorded.begunGroups ?? []) {
    say(sentence("recover.group", { id, region: place.region }));
    await deleteGroup(id, place, waiting);
  }
  const { cutOff, strangers } = await unrecordedMachines(calls, place, recorded);
  for (const machine of cutOff) {
    say(sentence("recover.machine", { id: machine.id, type: machine.type, region: place.region }));
    await endMachine(calls, place, machine, waiting);
  }
  for (const machine of strangers) {
    const fault = machineUnowned(machine, place);
    if (purpose === "up") throw fault;
    say(sentence("recover.stranger", { id: machine.id, type: machine.type, region: place.region, stack: place.stack }));
  }
}
