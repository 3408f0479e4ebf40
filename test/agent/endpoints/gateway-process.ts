import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ensureKey } from "../../../agent/endpoints/key.ts";
import { gatewayFiles } from "../../../agent/endpoints/endpoint-records.ts";
import { keepPort, privatePort } from "../../../agent/endpoints/ports.ts";
import { writeJson } from "../../../agent/files.ts";
import { childEnvironment } from "../../../agent/processes.ts";
import type { EndpointSpec } from "../../../recipe/protocol.ts";
import { EndpointFixture, until } from "./gateway-fixture.ts";
import type { FakeBehaviour } from "./fake-engine.ts";

/** A gateway in a process of its own, as it is in use, with a fake engine that is ready. */
export interface GatewayProcess {
  readonly fixture: EndpointFixture;
  readonly pid: number;
  readonly port: number;
  readonly url: string;
  readonly apiKey: string;
  /** Path of what it wrote on stdout and stderr. */
  readonly log: string;
  readonly isOver: () => boolean;
  /** What it holds after a collection. */
  memory(): Promise<NodeJS.MemoryUsage>;
  /** Open descriptors. */
  descriptors(): number;
  /** Generations that the fake engine has begun, and neither ended nor broken off. */
  generations(): number;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface GatewayProcessOptions {
  readonly limits: EndpointSpec["limits"];
  readonly behaviour?: FakeBehaviour;
  /** Answers that the fake engine gives at a time. */
  readonly places: number;
}

export async function startGatewayProcess(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const fixture = await EndpointFixture.create();
  const { layout, experiment } = fixture;
  const files = layout.endpoint(experiment);
  await fixture.behave(options.behaviour ?? {});
  await fixture.completeRun();
  await writeJson(files.spec, fixture.spec({ limits: options.limits }));
  const port = await privatePort();
  await keepPort(gatewayFiles(layout, experiment).port, port);
  const apiKey = await ensureKey(files.key);
  const child = launch(fixture, options.places);
  const url = `http://127.0.0.1:${port}`;
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  await until(async () => {
    if (isOver()) throw new Error("The gateway ended before it was ready.");
    return fetch(`${url}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
  }, 60_000);
  const { pid = 0 } = child;
  return {
    ...{ fixture, pid, port, url, apiKey, log: files.log, isOver },
    memory: async () => {
      const answer = once(child, "message");
      child.send("memory");
      const [usage] = (await answer) as [NodeJS.MemoryUsage];
      return usage;
    },
    descriptors: () => readdirSync(`/proc/${pid}/fd`).length,
    generations: () => openGenerations(fixture),
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, "exit");
      if (!isOver()) {
        child.kill("SIGTERM");
        await ended;
      }
      await fixture[Symbol.asyncDispose]();
    },
  };
}

function launch({ layout, experiment }: EndpointFixture, places: number): ChildProcess {
  const output = openSync(layout.endpoint(experiment).log, "a", 0o600);
  const main = join(import.meta.dirname, "gateway-main.ts");
  const child = spawn(process.execPath, ["--expose-gc", main, layout.root, experiment, String(places)], {
    stdio: ["ignore", output, output, "ipc"],
    env: childEnvironment({ NODE_NO_WARNINGS: "1" }),
    cwd: "/",
  });
  closeSync(output);
  return child;
}

function openGenerations(fixture: EndpointFixture): number {
  let open = 0;
  for (const { event } of fixture.journal()) {
    if (event === "asked") open += 1;
    if (event === "cut" || event === "finished") open -= 1;
  }
  return open;
}
