import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { publishPlan } from "../../../agent/resume/publish.ts";
import { keepCommand, takeBack } from "../../../agent/resume/record.ts";
import { type Replay, resumeBy } from "../../../agent/resume/resume.ts";
import { sha256OfFile } from "../../../agent/files.ts";
import { Fault } from "../../../recipe/fault.ts";
import { type ResumePlan, resumePlan } from "../../../recipe/resume-plan.ts";
import { faultOf } from "../../hosts/aws-stage.ts";
import { prefix, useMachines } from "./stage.ts";

/** A machine that takes another's place goes on by what that one was told. */
const machines = useMachines();
const { signal } = new AbortController();
const digest = "0123456789abcdef0123";
const rows = '{"instruction": "Who are you?", "output": "Ada"}\n';
let data: string;
let spec: Record<string, unknown>;

const plan = () => resumePlan.parse(JSON.parse(machines.bucket.objects.get(`${prefix}plan.json`)?.toString() ?? "{}"));

/** The programs of this process are large: here a small one stands for Node. */
async function withSmallNode<T>(work: () => Promise<T>): Promise<T> {
  const path = `${data}/node`;
  await writeFile(path, "node");
  const own = process.execPath;
  process.execPath = path;
  try {
    return await work();
  } finally {
    process.execPath = own;
  }
}
const publish = () => withSmallNode(() => publishPlan(data, signal));

/** What a machine is told by `up`, with everything that is secret in it. */
async function tell(): Promise<void> {
  const s3 = {
    region: "us-east-1",
    endpoint: machines.bucket.endpoint,
    accessKeyId: "KEYCANARY",
    secretAccessKey: "x",
  };
  const model = { source: "hub", id: "Qwen/Qwen2.5-0.5B" };
  const said: [Parameters<typeof keepCommand>[0], object][] = [
    ["environment-ensure", { device: "cuda", wheels: "/pushed/canary" }],
    ["environment-ensure", { device: "cuda", engine: { name: "vllm", lock: "lock" } }],
    ["weights-ensure", { model, environment: "/data/env/e", hubToken: "hf-canary" }],
    ["dataset-ensure", { digest, entries: [{ inline: "canary" }], hubToken: "hf-canary" }],
    ["run-declare", { spec, s3 }],
    ["run-wait", { run: "mine-1" }],
  ];
  const kept = [];
  for (const [name, input] of said) kept.push(await keepCommand(name, { ...input, dataDirectory: data }));
  expect(kept).toEqual([true, true, true, true, true, false]);
}

async function prepareData(): Promise<void> {
  const folder = `${data}/datasets/${digest.slice(0, 16)}`;
  await mkdir(folder, { recursive: true });
  const files = [];
  for (const [path, text] of Object.entries({ "identity.json": rows, "dataset_info.json": "{}" })) {
    await writeFile(`${folder}/${path}`, text);
    files.push({ path, bytes: text.length, sha256: createHash("sha256").update(text).digest("hex") });
  }
  const record = { schemaVersion: 1, digest, completedAt: "2026-11-27T12:00:00Z", names: ["identity"], rows: 1, files };
  await writeFile(`${folder}/.complete`, JSON.stringify(record));
}

beforeEach(async () => {
  data = await machines.machine();
  spec = {
    ...{ schemaVersion: 1, experiment: "mine", run: "mine-1", arguments: {}, environment: "/data/env/e" },
    ...{ device: "cuda", artifact: "adapter", config: {}, artifacts: "s3://models/out" },
  };
  await prepareData();
  await tell();
});

describe("what a machine leaves", () => {
  it("is its programs, its data and what it was told, in the order in which that is done again", async () => {
    await publish();
    const { told, dataset, agent, node } = plan();
    expect(told.map(({ command, input }) => [command, input["engine"] === undefined])).toEqual([
      ["environment-ensure", true],
      ["weights-ensure", true],
      ["run-declare", true],
      ["environment-ensure", false],
    ]);
    expect(dataset?.folder).toBe("datasets/0123456789abcdef");
    expect(dataset?.files.map(({ path }) => path)).toEqual(["identity.json", "dataset_info.json", ".complete"]);
    const object = (name: string) => machines.bucket.objects.get(prefix + name) ?? Buffer.alloc(0);
    expect(createHash("sha256").update(object(agent.object)).digest("hex")).toBe(agent.sha256);
    expect(gunzipSync(object(node.object)).toString()).toBe("node");
    // Last: what it names is there.
    expect(machines.bucket.written.at(-1)).toBe(`PUT ${prefix}plan.json`);
  });

  it("has no key, no token and no pushed package in it", async () => {
    await publish();
    const { agent, node, ...rest } = plan();
    expect(agent.object).not.toBe(node.object);
    expect(JSON.stringify(rest)).not.toMatch(/canary/i);
    expect(rest.told[2]?.input["s3"]).toEqual({ region: "us-east-1", endpoint: machines.bucket.endpoint });
    for (const name of ["environment-ensure", "weights", "dataset-ensure", "run-declare"]) {
      expect(await readFile(`${data}/resume/told/${name}.json`, "utf8")).not.toMatch(/canary/i);
    }
  });

  it("has the mirrors that it was told with, but for those that ask for a password", async () => {
    vi.stubEnv("TUNEUP_MIRRORS", "cn");
    vi.stubEnv("UV_DEFAULT_INDEX", "https://me:canary@mirror.example/simple");
    vi.stubEnv("TUNEUP_HOME", "/of/this/machine");
    await publish();
    const { environment = {} } = plan();
    expect(environment["TUNEUP_MIRRORS"]).toBe("cn");
    expect(environment).not.toHaveProperty("UV_DEFAULT_INDEX");
    expect(environment).not.toHaveProperty("TUNEUP_HOME");
    expect(JSON.stringify(plan())).not.toContain("canary");
  });

  it("is sent once, but for the plan", async () => {
    await publish();
    const first = machines.bucket.written.length;
    await keepCommand("endpoint-declare", { spec: { port: 0 }, dataDirectory: data });
    await publish();
    expect(machines.bucket.written.slice(first)).toEqual([`PUT ${prefix}plan.json`]);
    expect(plan().told.at(-1)?.command).toBe("endpoint-declare");
  });

  it("is no endpoint whose private key the user gave", async () => {
    const tls = { certificate: "c", key: "private-canary" };
    await keepCommand("endpoint-declare", { spec: { port: 0 }, tls, dataDirectory: data });
    await publish();
    expect(plan().told.map(({ command }) => command)).not.toContain("endpoint-declare");
    expect(JSON.stringify([...machines.bucket.objects.values()].map(String))).not.toContain("private-canary");
  });

  it("is no run that was stopped since, until it is declared again, and no endpoint that was deleted", async () => {
    await keepCommand("endpoint-declare", { dataDirectory: data, config: {} });
    const commands = async (): Promise<string[]> => {
      await publish();
      return plan().told.map(({ command }) => command);
    };
    expect(await takeBack("run-stop", { dataDirectory: data, run: "mine-0" })).toBe(false);
    expect(await commands()).toEqual(expect.arrayContaining(["run-declare", "endpoint-declare"]));
    expect(await takeBack("run-stop", { dataDirectory: data, run: "mine-1" })).toBe(true);
    expect(await takeBack("endpoint-delete", { dataDirectory: data })).toBe(true);
    expect(await commands()).toEqual(["environment-ensure", "weights-ensure", "environment-ensure"]);
    await tell();
    expect(await commands()).toContain("run-declare");
    expect(await takeBack("run-wait", { dataDirectory: data, run: "mine-1" })).toBe(false);
  });

  it("is nothing on a machine that stays", async () => {
    const other = await machines.machine(false);
    await withSmallNode(() => publishPlan(other, signal));
    expect(machines.bucket.requests).toEqual([]);
  });

  it("that the bucket refuses is the bucket's fault", async () => {
    machines.bucket.refusal = [403, "AccessDenied"];
    expect(await faultOf(publish())).toMatchObject({ code: "artifacts-forbidden" });
  });
});

describe("the next machine", () => {
  let next: string;
  let done: [string, unknown][];
  let said: string[];
  const replay: Replay = (command, input) => {
    done.push([command, input]);
    return Promise.resolve();
  };
  const resume = (by: ResumePlan, how: Replay = replay) =>
    resumeBy(by, { dataDirectory: next, replay: how, pausesMs: [1, 1], say: (line) => said.push(line) });

  beforeEach(async () => {
    await publish();
    next = await machines.machine();
    [done, said] = [[], []];
  });

  it("has the data first, whole, and then is told the same, for its own data directory", async () => {
    await resume(plan());
    const folder = `${next}/datasets/0123456789abcdef`;
    expect(await readFile(`${folder}/identity.json`, "utf8")).toBe(rows);
    expect(await sha256OfFile(`${folder}/.complete`)).toBe(
      await sha256OfFile(`${data}/datasets/0123456789abcdef/.complete`),
    );
    expect(done.map(([command]) => command)).toEqual([
      ...["environment-ensure", "weights-ensure", "run-declare", "environment-ensure"],
    ]);
    for (const [, input] of done) expect(input).toMatchObject({ dataDirectory: next });
    expect(done[2]?.[1]).toMatchObject({ spec: { run: "mine-1", artifacts: "s3://models/out" } });
    expect(said.at(-1)).toBe("this machine goes on by itself.");
  });

  it("tries again what is the network's fault, and says so", async () => {
    let failures = 2;
    await resume(plan(), (command, input, context) => {
      if (failures-- > 0) throw new Fault({ code: "cut", message: "The line was cut.", blame: "infrastructure" });
      return replay(command, input, context);
    });
    expect(done).toHaveLength(4);
    expect(said.filter((line) => line === "The line was cut. It is tried again.")).toHaveLength(2);
  });

  it("ends with what no other try mends, and does nothing after it", async () => {
    const gated = new Fault({ code: "weights-forbidden", message: "The model is gated." });
    const how: Replay = (command, input, context) =>
      command === "weights-ensure" ? Promise.reject(gated) : replay(command, input, context);
    expect(await faultOf(resume(plan(), how))).toBe(gated);
    expect(done.map(([command]) => command)).not.toContain("run-declare");
  });

  it("takes no data that was changed in the bucket, nor goes on without", async () => {
    const sha256 = createHash("sha256").update(rows).digest("hex");
    machines.bucket.objects.set(`${prefix}files/${sha256}`, Buffer.from(rows.replace("Ada", "Eve")));
    expect(await faultOf(resume(plan()))).toMatchObject({ code: "resume-impossible" });
    machines.bucket.objects.delete(`${prefix}files/${sha256}`);
    expect(await faultOf(resume(plan()))).toMatchObject({
      message: "identity.json of the data is not there in the bucket models.",
    });
    expect(done).toEqual([]);
    await expect(readFile(`${next}/datasets/0123456789abcdef/.complete`)).rejects.toThrow(/ENOENT/);
  });

  it("can't go on where weights were pushed, which is said", async () => {
    await keepCommand("weights-adopt", { path: "/data/models/m", record: {}, dataDirectory: data });
    await publish();
    expect(await faultOf(resume(plan()))).toMatchObject({
      code: "resume-impossible",
      message: "This machine took another's place, and its weights were pushed from the machine of `up`.",
    });
    expect(done).toEqual([]);
  });
});

it("keeps what it was told in place of what it was told before", async () => {
  await keepCommand("run-declare", { spec: { ...spec, run: "mine-2" }, s3: {}, dataDirectory: data });
  const text = await readFile(`${data}/resume/told/run-declare.json`, "utf8");
  expect(text).toContain("mine-2");
  expect(text).not.toContain("mine-1");
});
