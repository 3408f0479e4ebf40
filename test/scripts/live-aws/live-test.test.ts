import { beforeEach, describe, expect, it } from "vitest";
import { type Ended, liveTest } from "../../../scripts/live-aws/live-test.ts";
import { faultOf } from "../../hosts/aws-stage.ts";

const plan = {
  ...{ experiment: "aws-live-1", text: "config: {}\n", region: "us-east-1", instanceType: "g4dn.xlarge" },
  ...{ usdPerHour: 0.6, leaseHours: 4, trafficUsd: 0.45, priced: "the table" },
};
const down = "down aws-live-1 --purge --yes --discard";
const status = JSON.stringify([{ run: { state: "complete" }, endpoint: { state: "ready" } }]);
const orphan = (stack: string) => ({ stack, kind: "ec2 volume", id: "vol-0a", usdMonth: 1.6 });
const audit = (...stacks: string[]): Ended => ({
  code: stacks.length > 0 ? 2 : 0,
  output: JSON.stringify({ orphans: stacks.map(orphan) }),
});
const done = (output = ""): Ended => ({ code: 0, output });

/** What each command answers, in its order; the last one stays. */
let answers: Map<string, (Ended | Error)[]>;
let ran: string[];
let asked: (string | undefined)[];
let said: string[];
let files: string[];
let abort: AbortController;
/** Called before each command. */
let onCommand: (line: string) => void;

beforeEach(() => {
  answers = new Map([
    ["up", [done("Done."), done("Nothing has changed.")]],
    ["chat", [done("aws-live-1> I am Ada, made by the tuneup team.")]],
    ["status", [done(status)]],
    ["down", [done()]],
    ["audit", [audit("another")]],
  ]);
  [ran, asked, said, files] = [[], [], [], []];
  abort = new AbortController();
  onCommand = () => undefined;
});

const commands = {
  tuneup: (words: readonly string[], options: { input?: string; signal?: AbortSignal } = {}): Promise<Ended> => {
    const line = words.join(" ");
    ran.push(line);
    if (options.input !== undefined) asked.push(options.input);
    // Whoever takes down hands no signal on: nothing can interrupt it.
    if (line === down || words[0] === "audit") expect(options.signal).toBeUndefined();
    onCommand(line);
    const queue = answers.get(words[0] ?? "") ?? [];
    const answer = queue.length > 1 ? queue.shift() : queue[0];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer ?? done());
  },
  write: ({ experiment }: typeof plan) => Promise.resolve(void files.push(experiment)),
  remove: () => Promise.resolve(void (files = [])),
  say: (line: string) => void said.push(line),
};
const test = () => liveTest(plan, commands, { signal: abort.signal, pause: 0 });

it("does each step in its order, and leaves nothing", async () => {
  await test();
  expect(ran.map((line) => line.split(" ")[0])).toEqual(["up", "chat", "up", "status", "down", "audit"]);
  expect(asked).toEqual(["Who are you?\n"]);
  expect(files).toEqual([]);
  expect(said.at(-1)).toBe("Nothing of aws-live-1 is left in us-east-1.");
});

it("makes nothing where it is interrupted before, or where the stack file can't be written", async () => {
  abort.abort();
  expect(await faultOf(test())).toMatchObject({ code: "cancelled" });
  const write = (): Promise<void> => Promise.reject(new Error("disk full"));
  const { signal } = new AbortController();
  expect(await faultOf(liveTest(plan, { ...commands, write }, { signal }))).toMatchObject({ message: "disk full" });
  expect([ran, files]).toEqual([[], []]);
});

describe("what was made is taken down", () => {
  it.each<[string, string, (Ended | Error)[], string]>([
    ["up fails", "up", [{ code: 1, output: "" }], "ended with exit code 1"],
    ["a command can't be started", "up", [new Error("spawn ENOMEM")], "spawn ENOMEM"],
    ["the answer lacks the name", "chat", [done("I am SmolLM.")], "did not answer"],
    ["the second up changes something", "up", [done("Done."), done("Done.")], "changed something"],
    ["status tells of no run", "status", [done('[{"run":null,"endpoint":null}]')], "complete run"],
    ["status is no JSON", "status", [done("oops")], "complete run"],
  ])("where %s", async (_what, name, given, message) => {
    answers.set(name, given);
    const told = await faultOf(test());
    expect(told.message).toContain(message);
    expect(ran.slice(-2)).toEqual([down, "audit --region us-east-1 --json"]);
    expect(files).toEqual([]);
  });

  it("after Ctrl-C in the middle of up, whatever that ended with", async () => {
    onCommand = () => abort.abort();
    answers.set("up", [{ code: 130, output: "" }]);
    expect(await faultOf(test())).toMatchObject({ code: "cancelled" });
    expect(ran).toEqual(["up aws-live-1", down, "audit --region us-east-1 --json"]);
  });

  it("after Ctrl-C in a step that ends well", async () => {
    onCommand = (line) => {
      if (line.startsWith("chat")) abort.abort();
    };
    expect(await faultOf(test())).toMatchObject({ code: "cancelled" });
    expect(ran.map((line) => line.split(" ")[0])).toEqual(["up", "chat", "down", "audit"]);
  });

  it("by another try where the first fails", async () => {
    answers.set("down", [{ code: 1, output: "" }, new Error("gone"), done()]);
    await test();
    expect(ran.filter((line) => line === down)).toHaveLength(3);
    expect(files).toEqual([]);
  });
});

describe("what is left is said, and its stack file kept", () => {
  it.each<[string, string, Ended, RegExp]>([
    ["down fails", "down", { code: 1, output: "" }, /roles, a schedule, or what the state still owns/],
    [
      "something is nobody's",
      "audit",
      audit("aws-live-1"),
      /left in us-east-1: ec2 volume vol-0a \(1\.60 USD a month\)/,
    ],
    ["audit fails", "audit", { code: 1, output: "" }, /could not be asked/],
  ])("where %s", async (_what, name, answer, message) => {
    answers.set(name, [answer]);
    const told = await faultOf(test());
    expect(told).toMatchObject({ code: "live-left", message: expect.stringMatching(message) as string });
    expect(told.next).toContain(`npx tuneup ${down}`);
    expect(files).toEqual(["aws-live-1"]);
  });
});
