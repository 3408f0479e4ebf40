import { rm, writeFile } from "node:fs/promises";
import { execa } from "execa";
import { Fault } from "../../recipe/fault.ts";
import { pinsFile } from "../../recipe/pins.ts";
import type { LiveCommands } from "./live-test.ts";
import type { Plan } from "./plan.ts";

/** The commands themselves, in processes of their own. `folder`: of the project. `out`: where they are heard. */
export function liveCommands(folder: string, out: NodeJS.WritableStream = process.stdout): LiveCommands {
  const stacks = `${folder}/stacks`;
  const file = ({ experiment }: Plan): string => `${stacks}/Pulumi.${experiment}.yaml`;
  return {
    tuneup: async (words, { input, signal } = {}) => {
      // Of its own group: a terminal's Ctrl-C reaches us alone, and the child is told once.
      const child = execa(process.execPath, [`${folder}/cli/main.ts`, ...words], {
        ...{ cwd: folder, env: { TUNEUP_LANGUAGE: "en" }, detached: true, reject: false },
        ...(input === undefined ? { stdin: "ignore" as const } : { input }),
      });
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => out.write(text));
      }
      const interrupt = (): void => void child.kill("SIGINT");
      if (signal?.aborted === true) interrupt();
      signal?.addEventListener("abort", interrupt, { once: true });
      const { exitCode: code = 1, stdout: output } = await child;
      signal?.removeEventListener("abort", interrupt);
      return { code, output };
    },
    write: (plan) => writeFile(file(plan), plan.text),
    remove: async (plan) => {
      await rm(file(plan), { force: true });
      await rm(pinsFile(stacks, plan.experiment), { force: true });
    },
    say: (line) => void out.write(`${line}\n`),
  };
}

/** Id of the account that the credentials are of, by the AWS CLI. Throws Fault `aws-cli-missing`, `aws-credentials-missing`. */
export async function accountOf(region: string): Promise<string> {
  const words = ["sts", "get-caller-identity", "--region", region, "--query", "Account", "--output", "text"];
  const { exitCode, stdout, stderr, code } = await execa("aws", words, { reject: false, stdin: "ignore" });
  if (code === "ENOENT") {
    throw new Fault({
      code: "aws-cli-missing",
      message: "The AWS CLI (`aws`) is not on PATH; the way to the machine goes through it.",
      next: "Install version 2 as docs.aws.amazon.com/cli says, then run this again.",
    });
  }
  if (exitCode === 0 && /^\d{12}$/.test(stdout.trim())) return stdout.trim();
  throw new Fault({
    code: "aws-credentials-missing",
    message: `There are no credentials that AWS takes: ${(stderr || stdout).trim().split("\n").at(-1) ?? ""}`,
    next: "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with `aws sso login`. Nothing was made.",
  });
}
