import { Fault } from "../recipe/fault.ts";
import type { AwsCalls, Ec2Volume } from "./aws-clients.ts";
import { pause, type Place, type Waiting } from "./aws-machine.ts";

type Calls = Pick<AwsCalls, "volumes" | "deleteVolume" | "machines">;

/** The data volume of a stack; undefined where it has none. Throws Fault `volume-several`, and those of aws-faults.ts. */
export async function dataVolume(
  calls: Pick<AwsCalls, "volumes">,
  { stack, region }: Place,
): Promise<Ec2Volume | undefined> {
  const volumes = await calls.volumes(stack);
  if (volumes.length <= 1) return volumes[0];
  const ids = volumes.map(({ id }) => id).sort();
  throw new Fault({
    code: "volume-several",
    property: "aws",
    message: `There are ${ids.length} volumes with the tags of ${stack} in ${region}, and one stack has one: ${ids.join(", ")}.`,
    next: `Delete those that are not wanted (\`aws ec2 delete-volume --region ${region} --volume-id ID\`), then run this again.`,
  });
}

/**
 * Deletes the data volume of a stack, with all that is on it, once no machine has it any more. Returns what was deleted; undefined where there was
 * none. Throws Fault `volume-several`, `volume-attached`, `cancelled`, and those of aws-faults.ts.
 */
export async function deleteDataVolume(calls: Calls, place: Place, waiting: Waiting): Promise<Ec2Volume | undefined> {
  const began = performance.now();
  for (;;) {
    const volume = await dataVolume(calls, place);
    if (volume === undefined) return undefined;
    if (volume.state === "available") {
      await calls.deleteVolume(volume.id);
      return volume;
    }
    const isKept = await isAlive(calls, place, volume.machine);
    if (isKept || performance.now() - began > waiting.timing.patience) throw stillAttached(volume, place);
    waiting.tell(`${volume.id} is still ${volume.state}`);
    await pause(waiting);
  }
}

/** Does a machine of the stack run that nobody has ended? It keeps the volume however long one waits. */
async function isAlive(calls: Calls, { stack }: Place, id: string | undefined): Promise<boolean> {
  if (id === undefined) return false;
  const machine = (await calls.machines(stack)).find((one) => one.id === id);
  return machine !== undefined && /^(pending|running|stopping|stopped)$/.test(machine.state);
}

function stillAttached({ id, state, machine }: Ec2Volume, { region }: Place): Fault {
  const why = machine === undefined ? `is still ${state}` : `is still on ${machine}`;
  return new Fault({
    code: "volume-attached",
    property: "aws",
    message: `The data volume ${id} (${region}) ${why}, so it was not deleted.`,
    next: "Its own machine was ended: end what still has it, then run this again.",
    blame: "infrastructure",
  });
}
