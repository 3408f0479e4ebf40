import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { reference, referencePath } from "../../scripts/reference.ts";

it("docs/reference.md is what the schema says (npm run reference)", async () => {
  expect(await readFile(referencePath, "utf8")).toBe(await reference());
});
