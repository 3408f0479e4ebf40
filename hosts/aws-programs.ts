import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { Fault } from "../recipe/fault.ts";
import type { HostSpec } from "../recipe/host.ts";

/** Programs of AWS that the way to a machine needs on PATH. */
export const awsPrograms = ["aws", "session-manager-plugin"] as const;

/** Those that the way to a host needs. */
export function awsProgramsFor(host: HostSpec): readonly (typeof awsPrograms)[number][] {
  if (host.kind === "aws") return awsPrograms;
  return host.kind === "kubernetes" && host.eks !== undefined ? ["aws"] : [];
}

/** Those of them that PATH does not have. */
export async function missingAwsPrograms(path: string | undefined): Promise<(typeof awsPrograms)[number][]> {
  const folders = (path ?? "").split(delimiter).filter((folder) => folder !== "");
  const isThere = async (name: string): Promise<boolean> => {
    const found = await Promise.all(folders.map((folder) => isExecutable(join(folder, name))));
    return found.includes(true);
  };
  const missing = await Promise.all(awsPrograms.map(async (name) => ((await isThere(name)) ? [] : [name])));
  return missing.flat();
}

/** What to do about a program that is missing. */
export function programMissing(name: (typeof awsPrograms)[number]): Fault {
  return new Fault(
    name === "aws"
      ? {
          code: "aws-cli-missing",
          property: "aws",
          message: "The AWS CLI (`aws`) is not on PATH; the way to the machine or cluster goes through it.",
          next: "Install version 2 as docs.aws.amazon.com/cli says, then run this again.",
        }
      : {
          code: "session-plugin-missing",
          property: "aws",
          message: "The AWS CLI's `session-manager-plugin` is not on PATH; the way to the machine goes through it.",
          next: "Install it as AWS's page on the Session Manager plugin says, then run this again.",
        },
  );
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
