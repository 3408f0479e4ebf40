import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { checkDatasetFile } from "../../agent/datasets/check.ts";
import { rowReaders } from "../../checks/datasets/row-readers.ts";
import { remoteFiles } from "../../checks/datasets/sources.ts";
import { datasetSource, type DatasetSource } from "../../recipe/experiment-schema.ts";
import { type HostSpec, hostSpec } from "../../recipe/host.ts";
import { pinDatasets } from "../../recipe/pins.ts";
import type { CommandOutput } from "../../recipe/protocol.ts";
import type { DatasetEntry } from "../../recipe/sources.ts";
import { reaches } from "../egress.ts";
import { type Health, healthy, type ResourceKind, type Work } from "../kind.ts";
import { changePins } from "../pins.ts";
import { hubsOf, pushFetched } from "../push-datasets.ts";
import { readDatasets, type ReadDatasets } from "../read-datasets.ts";
import { hasUnknown, type Wire } from "../values.ts";

const inputs = z.object({
  host: hostSpec,
  /** Which machine the host is, where it may become another: what it is to do is said to that one again. */
  machine: z.string().optional(),
  /** As in the experiment; paths are absolute. */
  datasets: z.array(datasetSource).min(1),
  /** Digest of all names, formats and bytes; computed by check. */
  digest: z.string(),
  /** Path of the lock file where hub revisions are pinned. */
  pins: z.string().optional(),
  /** Token of the hub, for gated datasets. */
  hubToken: z.string().optional(),
});

/** Outputs of `tuneup-host:index:Dataset`. */
export interface DatasetOutputs extends Health {
  /** Folder with dataset_info.json on the host. */
  readonly path: string;
  readonly names: readonly string[];
  readonly rows: number;
}

/** The experiment's datasets, checked and registered for LLaMA-Factory in a folder of their own. `destroy` keeps it. */
export const datasetKind: ResourceKind<typeof inputs, DatasetOutputs> = {
  inputs,
  replaceOn: ["host"],
  // What the list says is in the digest; a path that moved is no change.
  incidental: ["datasets", "pins", "hubToken"],

  async check(news: Wire) {
    if (hasUnknown(news["datasets"])) return { failures: [] };
    const { digest, failures } = await readDatasets(news["datasets"] as DatasetSource[], optionsOf(news));
    return { computed: { digest }, failures };
  },

  id: ({ digest }) => digest.slice(0, 16),

  async ensure({ host: spec, datasets, pins, hubToken }, { host, options }) {
    const read = await readDatasets(datasets, { pins, hubToken });
    const { digest, found } = read;
    const known = await host.run("dataset-read", { digest }, options);
    // Whole already: no hub is asked for what is here.
    const made =
      known === null || known.damage !== undefined
        ? await prepare(read, { spec, token: hubToken }, { host, options })
        : known;
    await checkFetched(made, read, { host, options });
    await changePins(pins, (before) => pinDatasets(before, found));
    return { path: made.path, names: made.record.names, rows: made.record.rows, state: healthy };
  },

  async read(given, old, { host, options }) {
    const found = await host.run("dataset-read", { digest: given.digest }, options);
    if (found === null) return { ...old, state: "missing" };
    return { ...old, state: found.damage === undefined ? healthy : `damaged: ${found.damage}` };
  },

  remove: () => Promise.resolve(),
};

function optionsOf(news: Wire) {
  const text = (key: string): string | undefined => {
    const value = news[key];
    return typeof value === "string" && !hasUnknown(value) ? value : undefined;
  };
  return { pins: text("pins"), hubToken: text("hubToken") };
}

async function prepare(
  { entries, plans, digest, pins }: ReadDatasets,
  { spec, token }: { readonly spec: HostSpec; readonly token: string | undefined },
  work: Work,
) {
  const { host, options } = work;
  const access = { environment: process.env, token, signal: options.signal ?? new AbortController().signal };
  const placed = await Promise.all(
    entries.map(async (entry, index): Promise<DatasetEntry> => {
      const plan = plans[index];
      const { inline, path } = plan ?? {};
      const base = { ...entry, plainText: true };
      if (inline !== undefined) return { ...base, inline };
      const remote = plan === undefined ? undefined : await remoteFiles(plan, pins, access);
      if (plan !== undefined && remote !== undefined) {
        const whole = { ...base, remote: [...remote.remote] };
        if (!(await reaches(host, spec, hubsOf(plan)))) await pushFetched(whole, token, work);
        return whole;
      }
      if (entry.files !== undefined) {
        const files = entry.files.map(async (one) => ({ ...one, file: await host.put(one.file) }));
        return { ...base, files: await Promise.all(files) };
      }
      return path === undefined ? base : { ...base, file: await host.put(path) };
    }),
  );
  const secret = token === undefined ? {} : { hubToken: token };
  return await host.run("dataset-ensure", { digest, entries: placed, ...secret }, options);
}

type Made = Pick<NonNullable<CommandOutput<"dataset-read">>, "path" | "record">;

/**
 * Parquet and Arrow that were fetched: the agent counted their rows, here each of them is looked at before anything trains. Also where the folder was
 * whole already: what was refused once must not pass the next time. From another host it comes here for that.
 */
async function checkFetched(made: Made, { plans }: ReadDatasets, { host, options }: Work): Promise<void> {
  for (const { name, info, hub, url } of plans) {
    if (hub === undefined && url === undefined) continue;
    const columnar = made.record.files.filter(({ path }) => /\.(parquet|arrow)$/.test(path));
    const files = columnar.filter(({ path }) => path.startsWith(`${name}/`) || path.replace(/\.\w+$/, "") === name);
    if (files.length === 0) continue;
    const here = host.isHere ? made.path : await mkdtemp(join(tmpdir(), "tuneup-rows-"));
    try {
      await host.fetch({ here, there: made.path, files }, options);
      for (const { path } of files) {
        await checkDatasetFile(`${here}/${path}`, info, undefined, { plainText: true, columnar: rowReaders });
      }
    } finally {
      if (!host.isHere) await rm(here, { recursive: true, force: true });
    }
  }
}
