import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineKind } from "../../../agent/endpoints/engines/engine-kind.ts";
import { type Gateway, openGateway } from "../../../agent/endpoints/gateway.ts";
import { ensureKey } from "../../../agent/endpoints/key.ts";
import { keepPort, privatePort } from "../../../agent/endpoints/ports.ts";
import { gatewayFiles } from "../../../agent/endpoints/endpoint-records.ts";
import type { Timing } from "../../../agent/endpoints/timing.ts";
import { writeJson } from "../../../agent/files.ts";
import { type Layout, layoutOf } from "../../../recipe/layout.ts";
import type { RunManifest, RunMetric, RunStatus } from "../../../recipe/lifecycle.ts";
import type { EndpointSpec } from "../../../recipe/protocol.ts";
import type { FakeBehaviour, JournalEntry } from "./fake-engine.ts";

/** Times that let a test see an hour of an endpoint's life in seconds. */
export const quickTiming: Partial<Timing> = {
  poll: 30,
  probe: 300,
  probeTimeout: 500,
  backoff: [20, 20, 20, 20],
  stall: 1500,
  client: 1000,
  drain: 300,
  stop: 1000,
};

/** A data directory with one run and one endpoint, served by fake engines. */
export class EndpointFixture {
  readonly layout: Layout;
  readonly experiment = "demo";
  readonly run = "demo-0123456789ab";

  private constructor(root: string) {
    this.layout = layoutOf(root);
  }

  static async create(): Promise<EndpointFixture> {
    const root = await mkdtemp(join(tmpdir(), "tuneup-endpoint-"));
    const fixture = new EndpointFixture(root);
    await mkdir(fixture.layout.run(fixture.run).output, { recursive: true });
    return fixture;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.layout.root, { recursive: true, force: true, maxRetries: 5 });
  }

  get behaviourPath(): string {
    return `${this.layout.root}/behaviour.json`;
  }

  get journalPath(): string {
    return `${this.layout.root}/journal.jsonl`;
  }

  /** How the fake engines behave from now on. */
  behave(behaviour: FakeBehaviour): Promise<void> {
    return writeJson(this.behaviourPath, behaviour);
  }

  /** What the fake engines noted so far. */
  journal(): JournalEntry[] {
    if (!existsSync(this.journalPath)) return [];
    const lines = readFileSync(this.journalPath, "utf8").split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as JournalEntry);
  }

  spec(changes: Partial<EndpointSpec> = {}): EndpointSpec {
    return {
      schemaVersion: 1,
      experiment: this.experiment,
      run: this.run,
      environment: `${this.layout.root}/env`,
      device: "cpu",
      weights: `${this.layout.models}/m`,
      template: "qwen",
      arguments: {},
      artifact: "adapter",
      engine: "huggingface",
      base: "no",
      engineBytes: 1e9,
      host: "127.0.0.1",
      port: 0,
      limits: { requestsPerMinute: 1000, queue: 4, bodyBytes: 100_000, maxTokens: 256 },
      ...changes,
    };
  }

  /** An environment in which the huggingface engine counts as installed. */
  async pretendEnvironment(): Promise<void> {
    const folder = `${this.layout.root}/env/lib/python3.11/site-packages/llamafactory`;
    await mkdir(folder, { recursive: true });
    await writeFile(`${folder}/__init__.py`, "");
  }

  /** The run's record while it trains. */
  trainRun(changes: Partial<RunStatus> = {}): Promise<void> {
    const at = new Date().toISOString();
    const status: RunStatus = {
      schemaVersion: 1,
      run: this.run,
      state: "training",
      attempt: 1,
      step: 12,
      totalSteps: 24,
      secondsLeft: 21,
      supervisorPid: process.pid,
      declaredAt: at,
      updatedAt: at,
      ...changes,
    };
    return writeJson(this.layout.run(this.run).status, status);
  }

  /** Loss and learning rate of a finished training, for pages. */
  async writeMetrics(metrics: readonly RunMetric[]): Promise<void> {
    const lines = metrics.map((metric) => `${JSON.stringify(metric)}\n`).join("");
    await writeFile(this.layout.run(this.run).metrics, lines);
  }

  /** Makes the run complete: an artifact, then its manifest. */
  async completeRun(): Promise<void> {
    const run = this.layout.run(this.run);
    await writeFile(`${run.output}/adapter_model.safetensors`, "weights");
    const manifest: RunManifest = {
      schemaVersion: 1,
      run: this.run,
      completedAt: new Date().toISOString(),
      attempts: 1,
      step: 24,
      totalSteps: 24,
      trainSeconds: 42,
      artifact: "adapter",
      files: [{ path: "adapter_model.safetensors", bytes: 7, sha256: "0".repeat(64) }],
    };
    await this.trainRun({ state: "complete", step: 24, secondsLeft: 0 });
    await writeJson(run.manifest, manifest);
  }

  /** Fake engines, started as real ones are: through serve.py. */
  get kind(): EngineKind {
    return fakeKind(this.behaviourPath, this.journalPath);
  }
}

/** `places`: answers that one fake engine gives at a time. */
export function fakeKind(behaviour: string, journal: string, places = 1): EngineKind {
  return {
    name: "huggingface",
    places,
    sharesBase: false,
    needs: "llamafactory",
    launch: ({ wrapper, port, key, models }) => ({
      program: "python3",
      words: [wrapper, "exec", process.execPath, join(import.meta.dirname, "fake-engine.ts")],
      environment: {
        API_HOST: "127.0.0.1",
        API_PORT: String(port),
        API_KEY: key,
        API_MODEL_NAME: models[0] ?? "",
        FAKE_BEHAVIOUR: behaviour,
        FAKE_JOURNAL: journal,
        NODE_NO_WARNINGS: "1",
      },
      files: [],
    }),
  };
}

export interface TestGatewayOptions {
  readonly spec?: Partial<EndpointSpec>;
  readonly behaviour?: FakeBehaviour;
  readonly timing?: Partial<Timing>;
  /** Leave the run in training. Default: it is complete and the gateway is awaited until ready. */
  readonly training?: boolean;
  /** Do not wait for the engine. */
  readonly impatient?: boolean;
  readonly freeBytes?: number;
  /** Called before the gateway opens, e.g. to write metrics and a run spec. */
  readonly prepare?: (fixture: EndpointFixture) => Promise<void>;
}

/** A gateway in this process with fake engines behind it. */
export interface TestGateway {
  readonly url: string;
  readonly apiKey: string;
  readonly fixture: EndpointFixture;
  readonly gateway: Gateway;
  readonly lines: string[];
  /** fetch with the key. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** POST of a chat completion with the key. */
  chat(body: unknown, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startGatewayForTest(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const fixture = await EndpointFixture.create();
  const { layout, experiment } = fixture;
  const files = layout.endpoint(experiment);
  await fixture.behave(options.behaviour ?? {});
  await (options.training === true ? fixture.trainRun() : fixture.completeRun());
  await writeJson(files.spec, fixture.spec(options.spec));
  await keepPort(gatewayFiles(layout, experiment).port, await privatePort());
  const apiKey = await ensureKey(files.key);
  await options.prepare?.(fixture);
  const lines: string[] = [];
  const gateway = await openGateway({
    dataDirectory: layout.root,
    experiment,
    kind: fixture.kind,
    timing: { ...quickTiming, ...options.timing },
    log: (line) => lines.push(line),
    ...(options.freeBytes === undefined ? {} : { freeBytes: () => Promise.resolve(options.freeBytes ?? 0) }),
  });
  const { url } = gateway;
  const fetchWithKey = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${apiKey}`, ...(init.headers as object) } });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= gateway.close().then(() => fixture[Symbol.asyncDispose]());
    return closing;
  };
  const test: TestGateway = {
    ...{ url, apiKey, fixture, gateway, lines, close },
    fetch: fetchWithKey,
    chat: (body, init) => fetchWithKey("/v1/chat/completions", { method: "POST", body: JSON.stringify(body), ...init }),
    [Symbol.asyncDispose]: close,
  };
  if (options.training !== true && options.impatient !== true) {
    await until(async () => (await fetch(`${url}/readyz`)).ok);
  }
  return test;
}

/** Waits until `condition` holds; fails after `within` ms. */
export async function until(condition: () => boolean | Promise<boolean>, within = 20_000): Promise<void> {
  const deadline = performance.now() + within;
  while (!(await condition())) {
    if (performance.now() > deadline)
      throw new Error(`It did not become true within ${within} ms: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
