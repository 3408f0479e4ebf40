import { artifactDamage, artifactFolder } from "../hosts/artifact.ts";
import { runIdentity, type RunInputs } from "./run-identity.ts";
import { toWire } from "./values.ts";

/**
 * The run that these inputs mean, if it is complete and what it left lies whole on this machine: no machine has to be made to train or to fetch
 * it. Undefined else, and where the inputs can't be read now: then a machine is wanted, which is never wrong. `home`: the data directory of this
 * machine. Asks no host and no cloud. A release with another environment names runs anew, and finds none of those of before.
 */
export async function finishedRun(inputs: RunInputs, home: string): Promise<string | undefined> {
  // As it crosses the wire to `check`, which names runs too.
  const named = await runIdentity(toWire(inputs));
  if ("failures" in named) return undefined;
  const folder = artifactFolder(home, String(inputs.experiment), named.run);
  return (await artifactDamage(folder, home)) === undefined ? named.run : undefined;
}
