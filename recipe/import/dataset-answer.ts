import type { DatasetSource } from "../experiment-schema.ts";
import { Fault } from "../fault.ts";
import { refuseWindows } from "./model.ts";
import type { ImportWorld } from "./world.ts";

const forms =
  "a file or folder, org/name (or modelscope:org/name, huggingface:org/name), https://...#sha256=DIGEST, or the path of a dataset_info.json";

/** The source that the user named for a dataset. Throws Fault for what it can't be. */
export function answeredSource(name: string, answer: string, world: ImportWorld): DatasetSource {
  const given = answer.trim();
  refuseWindows(`--dataset ${name}`, given);
  if (/^(https|s3):\/\//.test(given)) return addressed(name, given);
  const hub = /^(?:(hub|modelscope|huggingface):)?([A-Za-z0-9][\w.-]*\/[\w.-]+)$/.exec(given);
  if (hub?.[1] !== undefined && hub[2] !== undefined) {
    return { hub: hub[2], source: hub[1] as "hub" | "modelscope" | "huggingface" };
  }
  if (/(^|\/)dataset_info\.json$/.test(given)) return { datasetInfo: world.place(given), names: [name] };
  const file = /\.(jsonl?|csv|parquet|arrow)$/i.test(given);
  if (file || world.exists(given) || /^[./~]/.test(given)) {
    return {
      path:
        file || given.endsWith("/") ? world.place(given) + (given.endsWith("/") ? "/" : "") : `${world.place(given)}/`,
    };
  }
  if (hub?.[2] !== undefined) return { hub: hub[2] };
  throw new Fault({
    code: "import-source",
    property: `--dataset ${name}`,
    message: `must be ${forms}; got ${JSON.stringify(answer)}.`,
    next: `Say for example --dataset ${name}=data/${name}.json.`,
  });
}

function addressed(name: string, given: string): DatasetSource {
  const [url = given, digest] = given.split("#sha256=");
  if (digest !== undefined && /^[0-9a-f]{64}$/.test(digest)) return { url, sha256: digest };
  throw new Fault({
    code: "import-digest",
    property: `--dataset ${name}`,
    message: `needs the sha256 of ${url}: what was checked is what trains.`,
    next: `Fetch it, run \`sha256sum\` on it, and say --dataset ${name}=${url}#sha256=DIGEST.`,
  });
}
