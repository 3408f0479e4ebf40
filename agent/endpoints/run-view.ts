import type { Layout } from "../../recipe/layout.ts";
import { type EndpointStatus, runManifest, runMetric } from "../../recipe/lifecycle.ts";
import { runSpec, type RunView } from "../../recipe/protocol.ts";
import { readLines, readRecord } from "../files.ts";
import { readRunStatus } from "./run-watch.ts";

/** What the web page shows beside the chat: run, curve and config. */
export async function readRunView(layout: Layout, endpoint: EndpointStatus): Promise<RunView> {
  const run = layout.run(endpoint.run);
  const [status, metrics, spec, manifest] = await Promise.all([
    readRunStatus(run),
    readLines(run.metrics, runMetric),
    readRecord(run.spec, runSpec),
    readRecord(run.manifest, runManifest),
  ]);
  return {
    experiment: endpoint.experiment,
    models: endpoint.models.map(({ id }) => id),
    run: status ?? null,
    endpoint,
    metrics,
    config: spec?.config ?? {},
    manifest: manifest ?? null,
  };
}
