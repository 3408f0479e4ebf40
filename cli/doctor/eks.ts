import { awsProgramsFor, missingAwsPrograms, programMissing } from "../../hosts/aws-programs.ts";
import { type EksHostSpec, openEks } from "../../hosts/eks.ts";
import { asFault } from "../../recipe/fault.ts";
import type { Say } from "../language/say.ts";
import { findExecutable } from "../toolchain/executables.ts";
import type { Check, Variables } from "./check.ts";
import { clusterChecks } from "./cluster.ts";

/** Is the AWS CLI there, is there the cluster, has it nodes, and may the user do there what `up` does? Nothing is started. */
export async function eksChecks(spec: EksHostSpec, variables: Variables, tell: Say): Promise<Check[]> {
  const path = variables["PATH"];
  const missing = await missingAwsPrograms(path);
  const programs = await Promise.all(
    awsProgramsFor(spec).map(async (name): Promise<Check> => {
      if (!missing.includes(name)) return { name, state: "ok", detail: (await findExecutable(name, path)) ?? name };
      const { next = "" } = programMissing(name);
      return { name, state: "missing", detail: tell("doctor.tool.none"), next };
    }),
  );
  if (programs.some(({ state }) => state === "missing")) return programs;
  return [...programs, ...(await thereChecks(spec, tell))];
}

async function thereChecks(spec: EksHostSpec, tell: Say): Promise<Check[]> {
  const host = openEks(spec);
  try {
    const down = await host.whyDown();
    if (down === undefined) return await clusterChecks(spec, tell);
    const { message, next } = down;
    // One that `up` makes is yet to come; one that the file names has to be there.
    const state = spec.eks.nodes === undefined ? "missing" : "note";
    return [{ name: "eks", state, detail: message, ...(next === undefined ? {} : { next }) }];
  } catch (thrown) {
    const { blame, message, next } = asFault(thrown);
    if (blame === "bug") throw thrown;
    return [{ name: "eks", state: "missing", detail: message, ...(next === undefined ? {} : { next }) }];
  } finally {
    await host.close();
  }
}
