import { z } from "zod";
import { artifactDamage, artifactFolder, artifactHere, bringArtifact } from "../../hosts/artifact.ts";
import { homeOf } from "../../recipe/home.ts";
import { type HostSpec, hostSpec } from "../../recipe/host.ts";
import type { CommandOutput } from "../../recipe/protocol.ts";
import { declaration } from "../../recipe/s3-access.ts";
import { isKept, requireSafe } from "../artifact-safety.ts";
import { type Health, healthy, type ResourceKind, type Work } from "../kind.ts";

const inputs = z.object({
  host: hostSpec,
  /** Which machine the host is, where it may become another: what it is to do is said to that one again. */
  machine: z.string().optional(),
  experiment: z.string(),
  /** Output of SftJob. */
  run: z.string(),
  /** Wait for the endpoint's engines as well. */
  endpoint: z.boolean(),
  /** As SftJob's: destroy takes this one first of all, so it refuses first. */
  discard: z.boolean().optional(),
});

/** Outputs of `tuneup-host:index:RunCompletion`: the results of the run. */
export interface RunCompletionOutputs extends Health {
  readonly steps: number;
  readonly trainSeconds: number;
  readonly finalLoss: number | undefined;
  readonly totalTokens: number | undefined;
  /** Folder with the adapter (or weights), its curve and metrics; on this machine, wherever the run was. */
  readonly artifact: string;
  /** Loss curve as PNG, in the same folder. */
  readonly lossCurve: string;
  readonly completedAt: string;
}

/** Waits for a run with progress and gives its results. The only resource that fails on Ctrl-C; the run goes on. */
export const runCompletionKind: ResourceKind<typeof inputs, RunCompletionOutputs> = {
  inputs,
  replaceOn: ["host"],
  incidental: ["endpoint"],
  recorded: ["discard"],
  id: ({ run }) => run,

  async ensure({ host: place, run, experiment, endpoint }, work) {
    await declareAgain(run, place, work);
    const { manifest } = await work.host.run("run-wait", { run }, work.options);
    // First what must not be lost: an endpoint that fails is repaired by the next `up`.
    const { folder } = await bringArtifact(work.host, run, homeOf(process.env), work.options);
    // Not for `base`, which loads when the experiment's own model answers.
    if (endpoint) await work.host.run("endpoint-wait", { experiment, model: experiment }, work.options);
    return outputsOf(manifest, folder);
  },

  async rest({ run, experiment }) {
    const folder = artifactFolder(homeOf(process.env), String(experiment), String(run));
    const manifest = await artifactHere(folder);
    return manifest === undefined ? undefined : outputsOf(manifest, folder);
  },

  async read({ run, experiment }, old, { host, options }) {
    const found = await host.run("run-read", { run }, options);
    const complete = found !== null && found.manifest !== null && found.damage === undefined;
    if (!complete) return undefined;
    if (host.isHere) return old;
    const home = homeOf(process.env);
    const folder = artifactFolder(home, experiment, run);
    // Also where another machine brought it to itself.
    const damage = old.artifact === folder ? await artifactDamage(folder, home) : `${folder} is missing.`;
    return { ...old, state: damage === undefined ? healthy : `artifact: ${damage}` };
  },

  async remove({ host: place, run, experiment, discard }, { host }) {
    if (!isKept(place, run)) await requireSafe({ run, experiment, discard }, host);
  },
};

/** A run that ended badly is tried again by the next `up`: what made it fail may be gone. */
async function declareAgain(run: string, place: HostSpec, { host, options }: Work): Promise<void> {
  const found = await host.run("run-read", { run }, options);
  if (found?.status.state === "failed" || found?.status.state === "stopped") {
    await host.run("run-declare", declaration(found.spec, place, process.env), options);
  }
}

function outputsOf(manifest: CommandOutput<"run-wait">["manifest"], output: string): RunCompletionOutputs {
  return {
    steps: manifest.step,
    trainSeconds: manifest.trainSeconds,
    finalLoss: manifest.finalLoss,
    totalTokens: manifest.totalTokens,
    artifact: output,
    lossCurve: `${output}/training_loss.png`,
    completedAt: manifest.completedAt,
    state: healthy,
  };
}
