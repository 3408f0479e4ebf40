import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { afterIdleScript, afterTrainingScript, busyScript, endsOf, safeMark } from "../../../recipe/aws/ends.ts";
import { leaseHours } from "../../../recipe/aws/lease-hours.ts";

let folder: string;
const at = (path: string): string => join(folder, path);
const data = (): string => at("data");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-ends-"));
  const scripts = { busy: busyScript, "after-training": afterTrainingScript, "after-idle": afterIdleScript };
  const systemctl = `#!/bin/sh\necho "systemctl $*" >>"${folder}/done"\n`;
  await Promise.all(["bin", "proc", "data"].map((name) => mkdir(at(name))));
  for (const [name, text] of Object.entries({ ...scripts, "bin/systemctl": systemctl })) {
    await writeFile(at(name), text);
    await chmod(at(name), 0o755);
  }
  await file("begun", 100);
});
afterEach(() => rm(folder, { recursive: true }));

/** A file that was last written so many minutes ago. */
async function file(path: string, minutes: number, text = ""): Promise<void> {
  await mkdir(dirname(at(path)), { recursive: true });
  await writeFile(at(path), text);
  const time = Date.now() / 1000 - minutes * 60;
  await utimes(at(path), time, time);
}

const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();
const log = (name: string, ...lines: string[]) => file(`data/endpoints/demo/${name}`, 0, `${lines.join("\n")}\n`);

/** A process of the machine, by its command line. */
const process_ = (...words: string[]) => file(`proc/${words.length}42/cmdline`, 0, words.join("\0") + "\0");

async function run(name: string, ...words: string[]) {
  const variables = { PATH: `${folder}/bin:${process.env["PATH"] ?? ""}`, TUNEUP_PROC: at("proc") };
  const { all } = await execa(at(name), words, { env: variables, all: true });
  return { said: all, ended: await readFile(at("done"), "utf8").catch(() => "") };
}
const afterTraining = () => run("after-training", data(), at("begun"));
const afterIdle = (minutes = 30) => run("after-idle", data(), at("begun"), at("seen"), String(minutes));

const computing: [string, () => Promise<void>][] = [
  ["a supervisor", () => process_("node", `${data()}/agent/0123456789ab/agent.mjs`, "supervise", "--run", "r")],
  ["a command", () => process_("node", `${data()}/agent/0123456789ab/agent.mjs`, "environment-ensure", "--lifeline")],
  ["a trainer", () => process_("python", `${data()}/runs/demo-1/trainer/train.py`)],
];
const resting: [string, () => Promise<void>][] = [
  ["the gateway", () => process_("node", `${data()}/agent/0123456789ab/agent.mjs`, "serve", "--experiment", "demo")],
  ["a reader of logs", () => process_("node", `${data()}/agent/0123456789ab/agent.mjs`, "logs", "--lifeline")],
  ["another's agent", () => process_("node", `/elsewhere/agent/0123456789ab/agent.mjs`, "supervise")],
];

describe("after-training", () => {
  it("ends the machine when what the run left is safe", async () => {
    await file(`data/${safeMark}`, 1, "demo-0123456789ab\n");
    expect(await afterTraining()).toEqual({
      said: "tuneup: this machine ends: run demo-0123456789ab is complete and what it left is fetched.",
      ended: "systemctl poweroff\n",
    });
  });

  it("waits for the mark, and takes none of a machine before it", async () => {
    expect((await afterTraining()).ended).toBe("");
    await file(`data/${safeMark}`, 200, "demo-0123456789ab\n");
    expect((await afterTraining()).ended).toBe("");
  });

  it.each(computing)("leaves it on while there is %s", async (_what, start) => {
    await file(`data/${safeMark}`, 1, "demo-0123456789ab\n");
    await start();
    expect(await afterTraining()).toEqual({ said: "", ended: "" });
  });

  it.each(resting)("ends it although there is %s", async (_what, start) => {
    await file(`data/${safeMark}`, 1, "demo-0123456789ab\n");
    await start();
    expect((await afterTraining()).ended).toBe("systemctl poweroff\n");
  });
});

describe("after-idle", () => {
  it("ends the machine when nothing trained and nobody chatted for so long", async () => {
    await log("gateway.log", `${ago(31)} POST /v1/chat/completions 200 12ms`, `${ago(1)} GET /v1/models 200 1ms`);
    await file("seen", 40);
    expect(await afterIdle()).toEqual({
      said: "tuneup: this machine ends: nothing trained and nobody chatted for 30 minutes.",
      ended: "systemctl poweroff\n",
    });
  });

  it.each<[string, () => Promise<unknown>]>([
    ["the first start", () => file("begun", 29)],
    ["the last look at which it was busy", () => file("seen", 29)],
    ["the last chat", () => log("gateway.log", `${ago(29)} POST /v1/chat/completions 200 12ms`, "no time POST-like")],
    ["a chat in the log before", () => log("gateway.log.1", `${ago(29)} POST /v1/chat/completions 429 1ms`)],
  ])("counts from %s", async (_what, since) => {
    await since();
    expect(await afterIdle()).toEqual({ said: "", ended: "" });
    expect((await afterIdle(28)).ended).toBe("systemctl poweroff\n");
  });

  it("is not misled by a log that can't be read", async () => {
    await log("gateway.log", "\0\xff POST / what");
    expect((await afterIdle()).ended).toBe("systemctl poweroff\n");
  });

  it.each(computing)("counts from now while there is %s", async (_what, start) => {
    await start();
    expect((await afterIdle()).ended).toBe("");
    await rm(at("proc"), { recursive: true });
    expect((await afterIdle()).ended).toBe("");
  });

  it("does not end a machine whose lease has not begun", async () => {
    await rm(at("begun"));
    expect((await afterIdle()).ended).toBe("");
  });
});

describe("what ends a machine early", () => {
  it("is what teardown says", () => {
    expect(endsOf("keep", 30)).toBeUndefined();
    expect(endsOf("after-idle", 30)).toEqual({ afterTraining: false, idleMinutes: 30 });
    // Also a training that failed, or whose result nobody fetched, is not to be paid for until the lease ends.
    expect(endsOf("after-training", 45)).toEqual({ afterTraining: true, idleMinutes: 45 });
  });
});

describe("leaseHours", () => {
  it.each([
    [{ hours: 24 }, 1, 24],
    [{ hours: 24, usd: 6 }, 2, 3],
    [{ hours: 2, usd: 6 }, 2, 2],
    [{ hours: 24, usd: 1 }, 1.1, 54 / 60],
    [{ hours: 24, usd: 0.001 }, 2, 1 / 60],
  ])("of %j at %d USD an hour", (lease, price, hours) => {
    expect(leaseHours(lease, price)).toBe(hours);
  });
});
