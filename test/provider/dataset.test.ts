import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { datasetKind } from "../../provider/resources/dataset.ts";
import { fakeHost } from "../fixtures/fake-host.ts";

it("refuses fetched Parquet that can't be read also where its folder is whole: a second try must not pass", async () => {
  const path = await mkdtemp(join(tmpdir(), "tuneup-parquet-"));
  await writeFile(join(path, "faq.parquet"), "no Parquet at all, but long enough for a footer");
  const commands: string[] = [];
  const record = { names: ["faq"], rows: 1, files: [{ path: "faq.parquet", bytes: 1, sha256: "" }] };
  const host = fakeHost(path, (name) => {
    commands.push(name);
    return { path, record };
  });
  const given = {
    host: { kind: "local", dataDirectory: path },
    datasets: [{ url: "https://files.example/faq.parquet", sha256: "ab".repeat(32) }],
    digest: "",
  };
  const made = datasetKind.ensure(datasetKind.inputs.parse(given), { host, options: {} });
  await expect(made).rejects.toMatchObject({ code: "dataset-malformed" });
  expect(commands).toEqual(["dataset-read"]);
  await rm(path, { recursive: true });
});
