import { missingAwsPrograms, awsPrograms, programMissing } from "../../hosts/aws-programs.ts";
import type { AwsHost } from "../../hosts/aws.ts";
import { openAws } from "../../hosts/aws.ts";
import { asFault } from "../../recipe/fault.ts";
import type { AwsHostSpec } from "../../recipe/host.ts";
import { findExecutable } from "../toolchain/executables.ts";
import type { Say } from "../language/say.ts";
import type { Check, Variables } from "./check.ts";

/** Are the programs there that the way to a machine needs, do the credentials let in, and is there a machine? Nothing is started. */
export async function awsChecks(spec: AwsHostSpec, variables: Variables, tell: Say): Promise<Check[]> {
  const path = variables["PATH"];
  const missing = await missingAwsPrograms(path);
  const programs = awsPrograms.map(async (name): Promise<Check> => {
    if (!missing.includes(name)) return { name, state: "ok", detail: (await findExecutable(name, path)) ?? name };
    const { next = "" } = programMissing(name);
    return { name, state: "missing", detail: tell("doctor.tool.none"), next };
  });
  return [...(await Promise.all(programs)), ...(await accountChecks(openAws(spec), spec, tell))];
}

async function accountChecks(host: AwsHost, { region, stack }: AwsHostSpec, tell: Say): Promise<Check[]> {
  const startedAt = performance.now();
  try {
    const isUp = await host.isUp();
    const ms = Math.round(performance.now() - startedAt);
    return [
      { name: "aws", state: "ok", detail: `${region}: ${tell("doctor.host.ok", { ms })}` },
      isUp
        ? { name: tell("doctor.name.host"), state: "ok", detail: tell("doctor.aws.up", { stack }) }
        : { name: tell("doctor.name.host"), state: "note", detail: tell("doctor.aws.none", { stack }) },
    ];
  } catch (thrown) {
    const fault = asFault(thrown);
    if (fault.blame === "bug") throw thrown;
    return [
      {
        name: "aws",
        state: "missing",
        detail: fault.message,
        ...(fault.next === undefined ? {} : { next: fault.next }),
      },
    ];
  } finally {
    await host.close();
  }
}
