import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { requirePython } from "../../../agent/environment/python.ts";
import { fileInZip } from "../../../agent/environment/zip.ts";

const script = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as file:
    file.writestr("stored", b"as it is")
    file.writestr("a/packed", b"again " * 1000, zipfile.ZIP_DEFLATED)
    file.writestr("empty", b"")
    file.comment = b"a note"
`;

it("finds what Python's zipfile packed and stored, and nothing else", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-zip-"));
  const { path } = await requirePython();
  execFileSync(path, ["-c", script, join(folder, "a.zip")]);
  const zip = await readFile(join(folder, "a.zip"));
  await rm(folder, { recursive: true });
  expect(fileInZip(zip, "stored")?.toString()).toBe("as it is");
  expect(fileInZip(zip, "a/packed")?.toString()).toBe("again ".repeat(1000));
  expect(fileInZip(zip, "empty")).toHaveLength(0);
  expect(fileInZip(zip, "packed")).toBeUndefined();
  expect(() => fileInZip(Buffer.from("none"), "a")).toThrow("no zip archive");
});
