import type { Command } from "commander";
import type { Host } from "../../hosts/host.ts";
import type { CommandOutput } from "../../recipe/protocol.ts";
import { Fault } from "../../recipe/fault.ts";
import type { HostSpec } from "../../recipe/host.ts";
import { usageLines } from "../../recipe/usage.ts";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup down`: ends what computes, keeps the data and says where it is; `--purge` deletes this experiment's data. */
export function register(program: Command): void {
  program
    .command("down")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .option("--purge", say("down.help.purge"))
    .option("--yes", say("down.help.yes"))
    .option("--discard", say("down.help.discard"))
    .description(say("down.help"))
    .action(down);
}

interface DownOptions {
  readonly purge?: boolean;
  readonly yes?: boolean;
  readonly discard?: boolean;
}

async function down(experiment: string, { purge = false, yes = false, discard = false }: DownOptions): Promise<void> {
  const { Display } = await import("../display.ts");
  const { openStack } = await import("../stack.ts");
  const { withDisplay } = await import("../update.ts");
  const { homeBeside, hostSpecFor, onHost, stackFile } = await import("../project.ts");
  const { requireSafe } = await import("../unsafe-artifacts.ts");
  const { interruptSignal } = await import("../interrupt.ts");
  const { rm } = await import("node:fs/promises");
  await stackFile(experiment);
  if (purge && !yes) await confirm(experiment);
  const signal = interruptSignal();
  const spec = await hostSpecFor(experiment);
  const display = new Display();
  const open = () => openStack(experiment, "down", (line) => display.say(line), signal);
  const place = volumePlace(spec);
  const kept = place === undefined ? undefined : await import("../kept-volume.ts");
  await onHost(experiment, async (host) => {
    // That ends a machine that a killed `up` left, which has nothing that could be asked and would be waited for.
    const opened = kept === undefined ? undefined : await open();
    const bucket = kept === undefined ? undefined : await seen(host, spec, { experiment, purge, discard, signal });
    const discarded = discard || (await requireSafe(host, { experiment, all: purge, bucket, signal })) === "discard";
    const stack = opened ?? (await open());
    // The provider asks too, and knows nothing of the answer that was given here.
    if (discarded) process.env["TUNEUP_DISCARD"] = "1";
    await withDisplay((options) => stack.destroy(options), display, say("down.interrupting"), signal);
    // The machine went with the rest: what it had lies on a volume that nobody can look into now.
    if (kept !== undefined && place !== undefined) {
      process.stdout.write(`${await kept.settleVolume(place, { purge, signal })}\n`);
      if (spec.kind !== "aws") return;
      // Also where the file says spot no more: the bucket of that time is still there.
      const { settleBucket } = await import("../kept-bucket.ts");
      const said = await settleBucket(spec, { purge, signal });
      if (said !== undefined) process.stdout.write(`${said}\n`);
      return;
    }
    if (purge) {
      const deleted = await host.run("purge", { experiment });
      // What LlamaBoard left is this machine's own: `webui` is for the local target alone.
      await rm(`${homeBeside(host)}/webui/experiments/${experiment}`, { recursive: true, force: true });
      printUsage(say("down.deleted", placeOf(host)), deleted, host);
    }
    printUsage(say("down.kept", { experiment, ...placeOf(host) }), await host.run("usage", { experiment }), host);
  });
}

/**
 * Throws where what is to be deleted on AWS may be all that there is of a run, and no machine is there to ask. Returns the stack's own bucket, where that
 * is to be deleted.
 */
async function seen(
  host: Host,
  spec: HostSpec,
  { signal, ...downing }: { experiment: string; purge: boolean; discard: boolean; signal: AbortSignal },
): Promise<string | undefined> {
  const volume = await import("../kept-volume.ts");
  const isSpot = spec.kind === "aws" && spec.spot === true;
  // With spot capacity a volume is of the time before.
  if (!isSpot || (downing.purge && (await volume.hasVolume(spec)))) await volume.requireSeen(host, downing);
  if (spec.kind !== "aws" || !downing.purge) return undefined;
  const { requireCopies } = await import("../kept-bucket.ts");
  const { stackBucket } = await import("../../hosts/aws-bucket.ts");
  const { homeBeside } = await import("../project.ts");
  const bucket = await stackBucket(spec);
  if (bucket === undefined || downing.discard) return bucket;
  // What a machine has itself is asked for after this; the bucket has what earlier machines left as well.
  const isUp = (await host.isUp?.()) !== false;
  const runs = isUp ? await host.run("run-list", { experiment: downing.experiment }) : [];
  await requireCopies(bucket, spec, { home: homeBeside(host), known: runs.map(({ run }) => run), signal });
  return bucket;
}

/** Where the stack's data volume is in AWS; undefined where it has none there. */
function volumePlace(spec: HostSpec): { readonly stack: string; readonly region: string } | undefined {
  if (spec.kind === "aws") return spec;
  const { region, nodes } = (spec.kind === "kubernetes" ? spec.eks : undefined) ?? {};
  return region === undefined || nodes === undefined ? undefined : { region, stack: nodes.stack };
}

/** The data directory for people, with its machine where that is another one. */
function placeOf({ isHere, description, dataDirectory }: Host): { readonly folder: string } {
  return { folder: isHere ? dataDirectory : `${description}:${dataDirectory}` };
}

function printUsage(title: string, usage: CommandOutput<"usage">, { dataDirectory }: Host): void {
  process.stdout.write(`${title}\n${usageLines(usage, dataDirectory)}\n`);
}

async function confirm(experiment: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new Fault({
      code: "purge-unconfirmed",
      message: `--purge deletes all runs of ${experiment}, adapters included.`,
      next: "Add --yes to say that this is meant.",
    });
  }
  const { createInterface } = await import("node:readline/promises");
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(say("down.confirm", { experiment }));
  terminal.close();
  if (answer.trim() !== experiment) {
    throw new Fault({
      code: "purge-unconfirmed",
      message: "Nothing was deleted.",
      next: `Type ${experiment} to delete.`,
    });
  }
}
