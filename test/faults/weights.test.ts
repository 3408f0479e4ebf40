import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, readdir, rm, truncate } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { environmentLock } from "../../agent/environment/identity.ts";
import { findEnvironment } from "../../agent/environment/read.ts";
import { childEnvironment } from "../../agent/processes.ts";
import { layoutOf } from "../../recipe/layout.ts";
import type { AgentMessage, CommandInput, CommandOutput } from "../../recipe/protocol.ts";
import { type FakeHub, startHub } from "../fixtures/hub.ts";
import { makeTestHome, sharedHome, type TestHome } from "../fixtures/home.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";

/** The hub's own client against a hub on loopback that serves the tiny model, well and badly. */
const agent = fileURLToPath(new URL("../../agent/main.ts", import.meta.url));
const shard = "model-00001-of-00002.safetensors";
const canary = "hf_canary0123456789";

let environment: string;
let tiny: string;
let hub: FakeHub;
let test: TestHome;

beforeAll(async () => {
  tiny = await tinyModel(sharedHome, await environmentPython(sharedHome));
  environment = (await findEnvironment(layoutOf(sharedHome), environmentLock()))?.path ?? "";
});
beforeEach(async () => {
  hub = await startHub("tiny/model", tiny, { "README.md": "hello", "pytorch_model.bin": "pickle", "code.py": "pass" });
  test = await makeTestHome({ shared: ["tools"] });
});
afterEach(async () => {
  await hub.close();
  await test.remove();
});

function start(model: Partial<CommandInput<"weights-ensure">["model"]> = {}) {
  const child = spawn(process.execPath, [agent, "weights-ensure"], {
    stdio: ["pipe", "pipe", "pipe"],
    env: childEnvironment({ HF_ENDPOINT: hub.url, HF_HUB_DISABLE_XET: "1" }),
  });
  const source = { source: "huggingface", id: "tiny/model", ...model };
  child.stdin.end(JSON.stringify({ dataDirectory: test.home, environment, hubToken: canary, model: source }));
  const said = text(child.stdout).then((lines) =>
    lines.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as AgentMessage])),
  );
  return { child, said };
}

async function ensure(model: Parameters<typeof start>[0] = {}) {
  const messages = await start(model).said;
  const last = messages.at(-1);
  expect(JSON.stringify(messages)).not.toContain(canary);
  return {
    messages,
    fault: last?.type === "fault" ? last.fault : undefined,
    result: last?.type === "result" ? (last.value as CommandOutput<"weights-ensure">) : undefined,
  };
}

const folders = async () =>
  (await readdir(join(test.home, "models")).catch(() => [])).filter((name) => name !== "references");

it("fetches safetensors, JSON and tokenizer at a commit, with the token in the header alone", async () => {
  const { result } = await ensure();
  expect(result?.path).toBe(join(test.home, "models", "tiny--model@0123456789ab"));
  expect(result?.record.revision).toBe("0123456789abcdef0123456789abcdef01234567");
  const names = result?.record.files.map(({ path }) => path) ?? [];
  expect(names).toEqual((await readdir(tiny)).toSorted());
  expect(new Set(hub.tokens)).toEqual(new Set([`Bearer ${canary}`]));
  expect(await readFile(join(result?.path ?? "", shard))).toEqual(await readFile(join(tiny, shard)));
  hub.requests.length = 0;
  expect((await ensure()).result?.created).toBe(false);
  expect(hub.requests).toEqual([]);
});

it.each([
  ["gated", "weights-gated", "hubToken"],
  ["missing", "weights-not-found", "OWNER/NAME"],
  ["no-revision", "weights-revision", "branch, a tag or a commit"],
  ["busy", "weights-rate-limited", "Wait some minutes"],
] as const)("tells %s in one sentence and what to do", async (answer, code, next) => {
  hub.answer = answer;
  const { fault } = await ensure();
  expect(fault).toMatchObject({ code, next: expect.stringContaining(next) as string });
  expect(await folders()).toEqual([]);
});

it("tells that a hub can't be reached", async () => {
  await hub.close();
  expect((await ensure()).fault).toMatchObject({ code: "weights-unreachable", blame: "infrastructure" });
});

describe("a shard that arrives wrong", () => {
  it.each([
    ["short", "weights-hash", "bytes where Hugging Face says"],
    ["other-bytes", "weights-hash", "another sha256"],
    ["cut", "weights-cut", "was cut"],
  ] as const)("%s is refused, and the next try mends it", async (trouble, code, words) => {
    hub.trouble.set(shard, trouble);
    const { fault } = await ensure();
    expect(fault).toMatchObject({ code, message: expect.stringContaining(words) as string });
    expect(await folders()).toEqual(["tiny--model@0123456789ab.partial"]);
    hub.trouble.clear();
    hub.requests.length = 0;
    expect((await ensure()).result?.created).toBe(true);
    expect(await folders()).toEqual(["tiny--model@0123456789ab"]);
    const fetched = hub.requests.filter((request) => request.startsWith("GET /tiny/model/resolve/"));
    expect(fetched.map((request) => request.split("/").at(-1))).toEqual([shard]);
  });
});

it("goes on after a SIGKILL in the middle, and leaves no orphan downloading", async () => {
  hub.trouble.set(shard, "stall");
  const { child, said } = start();
  await hub.stalled;
  child.kill("SIGKILL");
  await once(child, "exit");
  // The hub's client dies with the agent: else this would never settle.
  await hub.hungUp;
  await said;
  hub.trouble.clear();
  expect((await ensure()).result?.created).toBe(true);
  expect(await folders()).toEqual(["tiny--model@0123456789ab"]);
});

it("lets one of two at once do the work; the other waits and says so", async () => {
  hub.trouble.set(shard, "stall");
  const first = start();
  await hub.stalled;
  const second = start();
  await new Promise<void>((resolve) =>
    second.child.stdout.on("data", (part: Buffer) => {
      if (part.includes("waiting: another tuneup prepares the model tiny/model")) resolve();
    }),
  );
  first.child.kill("SIGKILL");
  hub.trouble.clear();
  const messages = await second.said;
  expect(messages.at(-1)).toMatchObject({ type: "result", value: { created: true } });
  expect(await folders()).toEqual(["tiny--model@0123456789ab"]);
});

it("mends a truncated shard by fetching that one file", async () => {
  const path = (await ensure()).result?.path ?? "";
  await truncate(join(path, shard), 1000);
  await rm(join(path, "chat_template.jinja"));
  hub.requests.length = 0;
  const { result, messages } = await ensure();
  expect(result?.created).toBe(true);
  expect(messages).toContainEqual(expect.objectContaining({ type: "log", level: "warning" }));
  const large = hub.requests.filter((request) => /^GET .*safetensors$/.test(request));
  expect(large.map((request) => request.split("/").at(-1))).toEqual([shard]);
});
