import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { execa } from "execa";
import { afterEach, beforeEach, expect, it } from "vitest";
import { projectFolder } from "../../../cli/project.ts";
import { liveCommands } from "../../../scripts/live-aws/commands.ts";
import { makeFolder, writeProgram, written } from "../../cli/fake-tools.ts";

/** The command itself, as far as it goes without an account. */
let folder: string;
let remove: () => Promise<void>;

beforeEach(async () => ({ folder, remove } = await makeFolder()));
afterEach(() => remove());

const live = (...words: string[]) =>
  execa(process.execPath, [`${projectFolder}/scripts/test-aws.ts`, ...words], { env: { PATH: folder }, reject: false });

async function expectNothingMade(): Promise<void> {
  expect((await readdir(`${projectFolder}/stacks`)).filter((name) => name.includes("aws-live"))).toEqual([]);
}

it("does not start without a budget, or with one that does not pay for it", async () => {
  const none = await live();
  expect(none.stderr).toMatch(/^--budget-usd: must say how many US dollars this test may cost: .*--budget-usd 5$/);
  expect(none.exitCode).toBe(1);
  const little = await live("--budget-usd", "0.1");
  expect(little.stderr).toMatch(/^--budget-usd: must be at least \d\.\d\d, which the shortest run costs/);
  expect(little.exitCode).toBe(1);
  await expectNothingMade();
});

it("does not start without credentials, or without the AWS CLI", async () => {
  const none = await live("--budget-usd", "5");
  expect(none.stderr).toMatch(/^The AWS CLI \(`aws`\) is not on PATH/);
  await writeProgram(join(folder, "aws"), `console.error("Unable to locate credentials"); process.exit(253);`);
  const refused = await live("--budget-usd", "5");
  expect(refused.stderr).toMatch(
    /^There are no credentials that AWS takes: Unable to locate credentials .*Nothing was made\.$/,
  );
  expect(refused.exitCode).toBe(1);
  await expectNothingMade();
});

it("interrupts a command, and waits for its end", async () => {
  const code = `
    import { appendFileSync } from "node:fs";
    const note = (word: string): void => appendFileSync(${JSON.stringify(join(folder, "notes"))}, word);
    process.on("SIGINT", () => {
      note("interrupted");
      process.stdout.write("what it said", () => process.exit(130));
    });
    setInterval(() => undefined, 1000);
    note("begun ");`;
  await writeProgram(join(folder, "cli/main.ts"), code);
  const abort = new AbortController();
  const ended = liveCommands(folder, new PassThrough().resume()).tuneup(["up"], { signal: abort.signal });
  await written(folder, "notes");
  abort.abort();
  expect(await ended).toEqual({ code: 130, output: "what it said" });
  expect(await readFile(join(folder, "notes"), "utf8")).toBe("begun interrupted");
});

it("hands a question on, and writes and removes the stack file", async () => {
  await writeProgram(join(folder, "cli/main.ts"), "process.stdin.pipe(process.stdout);");
  const commands = liveCommands(folder, new PassThrough().resume());
  expect(await commands.tuneup(["chat"], { input: "Who are you?\n" })).toEqual({ code: 0, output: "Who are you?" });
  await mkdir(join(folder, "stacks"));
  const plan = { experiment: "aws-live-1", text: "config: {}\n" } as Parameters<typeof commands.write>[0];
  await commands.write(plan);
  expect(await readFile(join(folder, "stacks/Pulumi.aws-live-1.yaml"), "utf8")).toBe(plan.text);
  await commands.remove(plan);
  expect(await readdir(join(folder, "stacks"))).toEqual([]);
});
