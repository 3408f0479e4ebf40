import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseDocument } from "yaml";

/** The official plugins for kubernetes and aws are nowhere to be had here: a copy of the project names the stand-in. */
export async function useStandIn(folder: string, name: "kubernetes" | "aws"): Promise<void> {
  const path = join(folder, "Pulumi.yaml");
  const document = parseDocument(await readFile(path, "utf8"));
  document.addIn(["plugins", "providers"], { name, path: fileURLToPath(new URL(name, import.meta.url)) });
  await writeFile(path, String(document));
}
