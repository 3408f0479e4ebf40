import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { installAgent } from "../../hosts/bundle.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tuneup-bundle-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("puts the agent whole into a new data directory, for the user alone", async () => {
  const agent = await installAgent(join(folder, "a", "home"));
  expect((await stat(agent)).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, "a", "home"))).mode & 0o777).toBe(0o700);
  expect(await readdir(dirname(agent))).toEqual(["agent.mjs"]);
});

it("refuses a data directory that can't be made with a sentence, also where Node's own mkdir never ends", async () => {
  const file = join(folder, "file");
  await writeFile(file, "");
  const impossible = [file, join(file, "home"), ...(process.platform === "linux" ? ["/proc/tuneup/home"] : [])];
  for (const home of impossible) {
    await expect(installAgent(home)).rejects.toMatchObject({
      code: "home-unwritable",
      message: expect.stringContaining(home) as string,
      next: expect.stringContaining("TUNEUP_HOME") as string,
    });
  }
});

it("tries again in a data directory that was refused before", async () => {
  const home = join(folder, "home");
  await writeFile(home, "");
  await expect(installAgent(home)).rejects.toMatchObject({ code: "home-unwritable" });
  await rm(home);
  await expect(installAgent(home)).resolves.toContain(home);
});
