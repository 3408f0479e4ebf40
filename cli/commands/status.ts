import type { Command } from "commander";
import type { Host } from "../../hosts/host.ts";
import { asFault, Fault, type FaultFacts } from "../../recipe/fault.ts";
import { homeOf } from "../../recipe/home.ts";
import type { HostSpec } from "../../recipe/host.ts";
import type { EndpointFacts } from "../../recipe/protocol.ts";
import type { RunStatus } from "../../recipe/lifecycle.ts";
import { runProgress } from "../../recipe/run-progress.ts";
import { faultText } from "../language/faults.ts";
import { languageOf } from "../language/locale.ts";
import { say } from "../language/say.ts";
import { padColumns } from "../language/width.ts";

/** `tuneup status`: what runs and what is done, asked of the host itself. */
export function register(program: Command): void {
  program
    .command("status")
    .argument("[experiment]", say("status.help.experiment"))
    .option("--json", say("status.help.json"))
    .description(say("status.help"))
    .action(status);
}

/** One experiment as the host knows it. The endpoint's key is never in it. */
interface Row {
  readonly experiment: string;
  /** `this machine`, or the name by which ssh reaches it. */
  readonly host: string;
  readonly run: RunStatus | null;
  readonly endpoint: ({ readonly url: string } & Pick<EndpointFacts["status"], "state" | "models" | "detail">) | null;
  /** False where its host can't be asked, which is no fault: the experiment is not up. */
  readonly asked?: false;
  /** Why its host could not be asked. */
  readonly fault?: FaultFacts;
}

async function status(experiment: string | undefined, { json = false }: { json?: boolean }): Promise<void> {
  const { experiments } = await import("../project.ts");
  // Experiments on one machine share a connection: it is closed when all are told.
  const opened: Host[] = [];
  try {
    const rows =
      experiment === undefined
        ? await Promise.all((await experiments()).map((name) => rowOrFault(name, opened)))
        : [await rowOf(experiment, opened)];
    process.stdout.write(json ? `${JSON.stringify(rows, null, 2)}\n` : `${rows.map(textOf).join("\n\n")}\n`);
  } finally {
    for (const host of opened) await host.close();
  }
}

/**
 * Of many experiments one whose machine is off hides none of the others. One that is not up is no failure, though its host can't be
 * asked: whoever has no account at AWS and no cluster is not told of it for each experiment that ships with the project.
 */
async function rowOrFault(experiment: string, opened: Host[]): Promise<Row> {
  try {
    return await rowOf(experiment, opened);
  } catch (thrown) {
    const { hostSpecFor } = await import("../project.ts");
    const spec = await hostSpecFor(experiment);
    const fault = asFault(thrown);
    if (spec.kind === "local" || fault.blame === "bug") throw thrown;
    const row = { experiment, host: nameOfHost(spec), run: null, endpoint: null };
    const { hasNoResources } = await import("../toolchain/backend.ts");
    const idle = await hasNoResources(experiment, homeOf(process.env), process.env);
    return idle ? { ...row, asked: false as const } : { ...row, fault: fault.toFacts() };
  }
}

/** As people name a host that is not this machine. */
function nameOfHost(spec: Exclude<HostSpec, { kind: "local" }>): string {
  if (spec.kind === "ssh") return spec.address;
  if (spec.kind === "kubernetes" && spec.eks !== undefined) return `${spec.eks.name} in ${spec.eks.region}`;
  return spec.kind === "aws" ? `${spec.stack} in ${spec.region}` : (spec.context ?? spec.namespace);
}

async function rowOf(experiment: string, opened: Host[]): Promise<Row> {
  const { hostOf } = await import("../project.ts");
  const host = await hostOf(experiment);
  if (!opened.includes(host)) opened.push(host);
  // A machine that is gone is no failure, and one that starts is not waited for.
  const down = await host.whyDown?.();
  if (down !== undefined)
    return { experiment, host: host.description, run: null, endpoint: null, fault: down.toFacts() };
  const [runs, endpoint] = await Promise.all([
    host.run("run-list", { experiment }),
    host.run("endpoint-read", { experiment }),
  ]);
  return {
    experiment,
    host: host.description,
    run: runs[0] ?? null,
    endpoint: endpoint === null ? null : servedOf(endpoint),
  };
}

function servedOf({ url, status: { state, models, detail } }: EndpointFacts): Row["endpoint"] {
  return { url, state, models, ...(detail === undefined ? {} : { detail }) };
}

/** What of a run is in its bucket, and why the rest is not. */
function publishedLines({ published }: RunStatus): string[] {
  if (published === undefined) return [];
  const { address, step, complete, fault } = published;
  const there =
    step === undefined ? say("status.s3.none", { address }) : say("status.s3.step", { address, step: String(step) });
  const told =
    fault === undefined
      ? []
      : [
          faultText(
            { code: fault.code, sentence: `${fault.message} ${fault.next ?? ""}`.trim() },
            languageOf(process.env),
          ),
        ];
  return [complete === true ? say("status.s3.complete", { address }) : there, ...told];
}

function textOf({ experiment, host, run, endpoint, asked, fault }: Row): string {
  const lines = [host === "this machine" ? experiment : say("status.on", { experiment, host })];
  if (asked === false) return [...lines, `  ${say("status.idle", { experiment })}`].join("\n");
  if (fault !== undefined) return [...lines, `  ${faultText(new Fault(fault), languageOf(process.env))}`].join("\n");
  const [ofRun, ofEndpoint] = [padColumns(say("status.run"), 8), padColumns(say("status.endpoint"), 8)];
  if (run === null) lines.push(`  ${ofRun}  ${say("status.run.none", { experiment })}`);
  else {
    lines.push(`  ${ofRun}  ${run.run}  ${runProgress(run).message}`);
    if (run.state === "complete" && run.loss !== undefined) {
      lines.push(`            ${say("status.run.loss", { loss: run.loss.toPrecision(3) })}`);
    }
    if (run.fault !== undefined) lines.push(`            ${run.fault.message}`);
    for (const line of publishedLines(run)) lines.push(`            ${line}`);
  }
  if (endpoint === null) lines.push(`  ${ofEndpoint}  ${say("status.endpoint.none")}`);
  else {
    lines.push(`  ${ofEndpoint}  ${endpoint.url}  ${endpoint.state}`);
    for (const model of endpoint.models)
      lines.push(`            ${model.id}: ${model.state}${model.detail === undefined ? "" : ` (${model.detail})`}`);
  }
  return lines.join("\n");
}
