import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import manifest from "../../package.json" with { type: "json" };
import { Fault } from "../../recipe/fault.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { type Known, redact, withoutExamples } from "../../recipe/redact.ts";
import { archive } from "./archive.ts";
import type { Check, Variables } from "./check.ts";

/** Of a log, this much of its end goes into the bundle. */
const tailBytes = 200_000;

/**
 * Writes a support bundle (.tar.gz, 0600) to `file`: the checks, versions, stack files, and of the newest run and
 * endpoint their records and the ends of their logs. Without secrets, dataset rows and the user's paths.
 * Returns the names of what it holds. Throws Fault where `file` can't be written.
 */
export async function writeBundle(
  file: string,
  checks: readonly Check[],
  home: string,
  variables: Variables,
): Promise<string[]> {
  const known = await whatIsSecret(home, variables);
  const texts: Record<string, string> = {
    "checks.json": JSON.stringify(checks, null, 2),
    "versions.json": JSON.stringify(versions(variables), null, 2),
    ...(await stackFiles()),
    ...(await newest(
      layoutOf(home).runs,
      "run",
      ["spec.json", "status.json", "train.yaml", "manifest.json"],
      ["events.jsonl", "metrics.jsonl", "trainer.log"],
    )),
    ...(await newest(layoutOf(home).endpoints, "endpoint", ["spec.json", "status.json"], ["gateway.log"])),
  };
  const safe = Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, redact(withoutExamples(text), known)]),
  );
  try {
    await writeFile(file, archive(safe), { mode: 0o600 });
  } catch (thrown) {
    throw new Fault(
      {
        code: "bundle-unwritable",
        property: "--bundle",
        message: `${file} can't be written (${(thrown as NodeJS.ErrnoException).code ?? String(thrown)}).`,
        next: "Name a file in a folder that exists and that you may write to.",
      },
      { cause: thrown },
    );
  }
  return Object.keys(safe);
}

function versions(variables: Variables): unknown {
  return {
    tuneup: manifest.version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    at: new Date().toISOString(),
    // Names alone: whether a proxy or a token is set often explains a fault, its value never does.
    variablesSet: Object.keys(variables)
      .filter((name) => /^(PULUMI|TUNEUP|HF|MODELSCOPE|UV|PIP|CUDA|npm_config)_|_proxy$/i.test(name))
      .sort(),
  };
}

/** Every secret value that we can find, so that it is found wherever else it went. */
async function whatIsSecret(home: string, variables: Variables): Promise<Known> {
  const fromVariables = Object.entries(variables).flatMap(([name, value]) =>
    value !== undefined && /TOKEN|PASS|SECRET|CREDENTIAL|API_?KEY|ACCESS_KEY/i.test(name) && !name.endsWith("_FILE")
      ? [value]
      : [],
  );
  const endpoints = await readdir(layoutOf(home).endpoints).catch(() => []);
  const passphraseFile = variables["PULUMI_CONFIG_PASSPHRASE_FILE"];
  const files = [
    `${home}/passphrase`,
    ...(passphraseFile === undefined ? [] : [passphraseFile]),
    ...endpoints.map((name) => layoutOf(home).endpoint(name).key),
  ];
  const fromFiles = await Promise.all(files.map((path) => readFile(path, "utf8").catch(() => "")));
  const checkout = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
  const paths = { [home]: "<data directory>", [checkout]: "<project>", [process.cwd()]: "<folder>", [homedir()]: "~" };
  return {
    secrets: [...fromVariables, ...fromFiles],
    paths: withoutRoots({ ...paths, [variables["HOME"] ?? ""]: "~" }),
  };
}

/** `/` and the empty path would eat every path. */
function withoutRoots(paths: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(paths).filter(([path]) => path.length > 1));
}

async function stackFiles(): Promise<Record<string, string>> {
  const folder = fileURLToPath(new URL("../../stacks", import.meta.url));
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".yaml"));
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
  return Object.fromEntries(names.map((name, index) => [`stacks/${name}`, texts[index] ?? ""]));
}

/** Records (whole) and logs (their end) of the folder in `parent` whose status changed last. */
async function newest(
  parent: string,
  kind: string,
  records: readonly string[],
  logs: readonly string[],
): Promise<Record<string, string>> {
  const names = await readdir(parent).catch(() => []);
  const changed = await Promise.all(
    names.map(async (name) => ({
      name,
      at: await stat(join(parent, name, "status.json")).then(
        (stats) => stats.mtimeMs,
        () => 0,
      ),
    })),
  );
  const last = changed.sort((one, other) => other.at - one.at)[0]?.name;
  if (last === undefined) return {};
  const texts: Record<string, string> = {};
  for (const file of [...records, ...logs]) {
    const text = await readFile(join(parent, last, file), "utf8").catch(() => undefined);
    if (text === undefined) continue;
    texts[`${kind}/${basename(file)}`] = logs.includes(file) ? tail(text) : text;
  }
  return texts;
}

/** The end of a log, from a whole line on. Examples are cut before, so that none is torn into half. */
function tail(text: string): string {
  const clean = withoutExamples(text);
  return clean.length <= tailBytes ? clean : clean.slice(clean.indexOf("\n", clean.length - tailBytes) + 1);
}
