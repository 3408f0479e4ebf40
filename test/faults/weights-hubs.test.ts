import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it as plain } from "vitest";
import { environmentLock } from "../../agent/environment/identity.ts";
import { findEnvironment } from "../../agent/environment/read.ts";
import { layoutOf } from "../../recipe/layout.ts";
import type { CommandInput } from "../../recipe/protocol.ts";
import { type FakeHub, startHub } from "../fixtures/hub.ts";
import { makeTestHome, sharedHome, type TestHome } from "../fixtures/home.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";
import { outcomeOf, startEnsure, weightsFolders } from "../fixtures/weights-agent.ts";

/** Both hubs' own clients against a hub on loopback that serves the tiny model, well and badly. */
const shard = "model-00001-of-00002.safetensors";
const canary = "hub-canary-0123456789";
const hubs = ["huggingface", "modelscope"] as const;

let environment: string;
let tiny: string;

beforeAll(async () => {
  tiny = await tinyModel(sharedHome, await environmentPython(sharedHome));
  environment = (await findEnvironment(layoutOf(sharedHome), environmentLock()))?.path ?? "";
});

const startTiny = (extra: Readonly<Record<string, string>> = {}) =>
  startHub("tiny/model", tiny, { "README.md": "hello", "pytorch_model.bin": "pickle", ...extra });

interface Stage {
  hub: FakeHub;
  test: TestHome;
}

/** Each test has a hub and a data directory of its own: they run at the same time. */
const it = plain.extend<Stage>({
  // eslint-disable-next-line no-empty-pattern -- vitest reads the names of the fixtures from here
  hub: async ({}, use) => {
    const hub = await startTiny();
    await use(hub);
    await hub.close();
  },
  // eslint-disable-next-line no-empty-pattern
  test: async ({}, use) => {
    const test = await makeTestHome({ shared: ["tools"] });
    await use(test);
    await test.remove();
  },
});

/** The clients' own variables for what takes minutes by default. */
const impatient = {
  HF_HUB_DISABLE_XET: "1",
  HF_HUB_DOWNLOAD_TIMEOUT: "3",
  MODELSCOPE_DOWNLOAD_TIMEOUT: "3",
  MODELSCOPE_API_MAX_RETRIES: "1",
  MODELSCOPE_DOWNLOAD_MAX_RETRIES: "2",
};

async function ensure(
  { hub, test }: Stage,
  model: Partial<CommandInput<"weights-ensure">["model"]>,
  more: Partial<CommandInput<"weights-ensure">> = {},
  variables: Readonly<Record<string, string>> = { HF_ENDPOINT: hub.url, MODELSCOPE_ENDPOINT: hub.url },
) {
  const asked = { source: "huggingface" as const, id: "tiny/model", ...model };
  const input = { dataDirectory: test.home, environment, hubToken: canary, model: asked, ...more };
  const messages = await startEnsure(input, { ...impatient, HOME: test.home, ...variables }).said;
  expect(JSON.stringify(messages)).not.toContain(canary);
  return outcomeOf(messages);
}

describe.concurrent.each(hubs)("%s", (source) => {
  it("says licence and size before the download, and is pinned to a commit", async ({ hub, test }) => {
    const { result, logged } = await ensure({ hub, test }, { source });
    expect(logged).toEqual([
      expect.stringMatching(/^tiny\/model is 0123456789ab at .*: \d+ files, .* [KM]B; licence apache-2\.0\.$/),
    ]);
    expect(result?.record).toMatchObject({ source, revision: hub.commit });
    expect(result?.record.files.map(({ path }) => path)).not.toContain("pytorch_model.bin");
    expect(await weightsFolders(test.home)).toEqual(["tiny--model@0123456789ab"]);
  });

  it.for(["cut", "short", "other-bytes", "busy", "stall"] as const)(
    "a shard that is %s once is whole in the end, at the latest with the next up",
    async (trouble, { hub, test }) => {
      hub.trouble.set(shard, trouble);
      hub.times.set(shard, 1);
      const first = await ensure({ hub, test }, { source });
      if (trouble === "stall") {
        const told = first.messages.flatMap((message) => (message.type === "progress" ? [message.progress] : []));
        const line = /^downloading tiny\/model from \S+( Face)?: [\d.]+ MB of [\d.]+ MB, [\d.]+ [KM]B\/s$/;
        expect(told.filter(({ message }) => line.test(message))).not.toEqual([]);
        expect(told.some(({ secondsLeft }) => (secondsLeft ?? 0) > 0)).toBe(true);
      }
      if (first.fault !== undefined) expect(first.fault.blame).toBe("infrastructure");
      const { result, fault } = first.fault === undefined ? first : await ensure({ hub, test }, { source });
      expect(fault).toBeUndefined();
      expect(result?.record.revision).toBe(hub.commit);
      expect(await weightsFolders(test.home)).toEqual(["tiny--model@0123456789ab"]);
    },
  );

  it.for([
    ["gated", /^weights-(gated|forbidden)$/, "tiny/model"],
    ["missing", /^weights-not-found$/, "OWNER/NAME"],
    ["busy", /^weights-rate-limited$/, "Wait some minutes"],
  ] as const)("tells %s in one sentence and what to do", async ([answer, code, next], { hub, test }) => {
    hub.answer = answer;
    const { fault } = await ensure({ hub, test }, { source });
    expect(fault?.code).toMatch(code);
    expect(fault?.next).toContain(next);
    expect(await weightsFolders(test.home)).toEqual([]);
  });
});

it.concurrent(
  "says that a model is gated, and where to accept its terms, before anything is downloaded",
  async ({ hub, test }) => {
    hub.gated = true;
    const { fault } = await ensure({ hub, test }, {}, { hubToken: undefined });
    expect(fault).toMatchObject({
      code: "weights-gated",
      next: expect.stringMatching(/huggingface\.co\/tiny\/model.*--secret hubToken/) as string,
    });
    expect(hub.requests.filter((request) => request.includes("/resolve/"))).toEqual([]);
    expect((await ensure({ hub, test }, {})).result?.created).toBe(true);
  },
);

it.concurrent("takes pickle that the experiment names, where there are no safetensors", async ({ hub, test }) => {
  for (const name of [shard, "model-00002-of-00002.safetensors", "model.safetensors.index.json"])
    hub.files.delete(name);
  expect((await ensure({ hub, test }, {})).fault).toMatchObject({
    code: "weights-pickle",
    next: expect.stringContaining("model.allowPickle") as string,
  });
  const { result } = await ensure({ hub, test }, { allowPickle: ["pytorch_model.bin"] });
  expect(result?.record.files.map(({ path }) => path)).toContain("pytorch_model.bin");
});

it.concurrent("takes the pinned commit on another machine although the branch moved on", async ({ hub, test }) => {
  const pin = { source: "modelscope", revision: hub.commit };
  const { result } = await ensure({ hub, test }, { source: "hub" }, { pin });
  expect(result?.record).toMatchObject(pin);
  hub.requests.length = 0;
  expect((await ensure({ hub, test }, { source: "hub" }, { pin })).result?.created).toBe(false);
  expect(hub.requests).toEqual([]);
});

it.concurrent(
  "pins ModelScope's list of files where no commit is told, and refuses other files under that pin",
  async ({ hub, test }) => {
    hub.tellsCommits = false;
    const { result } = await ensure({ hub, test }, { source: "modelscope" });
    const { source, revision } = result?.record ?? { source: "", revision: "" };
    expect(revision).toMatch(/^files-[0-9a-f]{40}$/);
    const pin = { source, revision };
    await rm(join(test.home, "models"), { recursive: true });
    expect((await ensure({ hub, test }, { source: "modelscope" }, { pin })).result?.record.revision).toBe(revision);
    await rm(join(test.home, "models"), { recursive: true });
    const other = await startTiny({ "generation_config.json": "{}" });
    other.tellsCommits = false;
    const { fault } = await ensure({ hub: other, test }, { source: "modelscope" }, { pin });
    await other.close();
    expect(fault).toMatchObject({ code: "weights-moved", next: expect.stringContaining("lock file") as string });
  },
);

it.concurrent.for(hubs)("goes through a proxy to %s", async (source, { hub, test }) => {
  const address = "http://hub.invalid";
  const proxied = { HF_ENDPOINT: address, MODELSCOPE_ENDPOINT: address, http_proxy: hub.url, no_proxy: "" };
  expect((await ensure({ hub, test }, { source }, {}, proxied)).result?.created).toBe(true);
});

describe.concurrent("behind a certificate of the user's own authority", () => {
  const words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=hub".split(" ");

  it.for([
    // Each by the variable that its client does not read by itself.
    ["huggingface", "REQUESTS_CA_BUNDLE"],
    ["modelscope", "SSL_CERT_FILE"],
  ] as const)("%s is trusted by %s, and by nothing else", async ([source, variable], { test }) => {
    const [keyFile, certFile] = [join(test.home, "key.pem"), join(test.home, "cert.pem")];
    const where = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", keyFile, "-out", certFile];
    await promisify(execFile)("openssl", [...words, ...where]);
    const tls = { key: await readFile(keyFile, "utf8"), cert: await readFile(certFile, "utf8") };
    const hub = await startHub("tiny/model", tiny, {}, tls);
    const nothing = { SSL_CERT_FILE: "", REQUESTS_CA_BUNDLE: "", CURL_CA_BUNDLE: "" };
    const plainly = { HF_ENDPOINT: hub.url, MODELSCOPE_ENDPOINT: hub.url, ...nothing };
    const { fault } = await ensure({ hub, test }, { source }, {}, plainly);
    expect(fault).toMatchObject({
      code: "weights-unreachable",
      message: expect.stringMatching(/certificate/i) as string,
    });
    const trusting = { ...plainly, [variable]: certFile };
    expect((await ensure({ hub, test }, { source }, {}, trusting)).result?.created).toBe(true);
    await hub.close();
  });
});
