import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** Where the list is kept. */
export const knownDatasetsPath = fileURLToPath(new URL("../recipe/llamafactory-datasets.json", import.meta.url));

const note =
  "Made by `node scripts/read-known-datasets.ts DATASET_INFO` from data/dataset_info.json in the source distribution of LLaMA-Factory 0.9.5 on PyPI. Copyright the LlamaFactory team, Apache License 2.0.";

/** The text of recipe/llamafactory-datasets.json, from the text of LLaMA-Factory's own dataset_info.json. */
export function knownDatasets(datasetInfo: string): string {
  const datasets = JSON.parse(datasetInfo) as Record<string, Record<string, unknown>>;
  // OpenMind is a hub that tuneup does not ask.
  const entries = Object.entries(datasets).map(
    ([name, entry]) =>
      [name, Object.fromEntries(Object.entries(entry).filter(([key]) => key !== "om_hub_url"))] as const,
  );
  return `${JSON.stringify({ note, datasets: Object.fromEntries(entries) }, null, 1)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , source] = process.argv;
  if (source === undefined) throw new Error("Usage: node scripts/read-known-datasets.ts DATASET_INFO");
  await writeFile(knownDatasetsPath, knownDatasets(await readFile(source, "utf8")));
}
