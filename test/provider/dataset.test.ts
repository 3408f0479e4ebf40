import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { datasetKind } from "../../provider/resources/dataset.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

const again = "refuses fetched %s that can't be read also where its folder is whole: a second try must not pass";

it.each(["parquet", "arrow"])(again, async (ending) => {
  const path = await mkdtemp(join(tmpdir(), "tuneup-parquet-"));
  await writeFile(join(path, `faq.${ending}`), "no such format, but long enough for a footer");
  const commands: string[] = [];
  const record = { names: ["faq"], rows: 1, files: [{ path: `faq.${ending}`, bytes: 1, sha256: "" }] };
  const host = fakeHost(path, (name) => {
    commands.push(name);
    return { path, record };
  });
  const given = {
    host: { kind: "local", dataDirectory: path },
    datasets: [{ url: `https://files.example/faq.${ending}`, sha256: "ab".repeat(32) }],
    digest: "",
  };
  const made = datasetKind.ensure(datasetKind.inputs.parse(given), { host, options: {} });
  await expect(made).rejects.toMatchObject({ code: "dataset-malformed" });
  expect(commands).toEqual(["dataset-read"]);
  await rm(path, { recursive: true });
});
