import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { backendOf, hasNoResources, stateUrl } from "../../cli/toolchain/backend.ts";
import { pulumiEnvironment } from "../../cli/toolchain/environment.ts";
import type { PulumiTool } from "../../cli/toolchain/route.ts";
import { homeOf } from "../../recipe/home.ts";
import { makeFolder } from "./fake-tools.ts";

let folder: string;
let home: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ folder, remove } = await makeFolder());
  home = join(folder, "home");
});
afterEach(() => remove());

const tool: PulumiTool = {
  command: "/opt/pulumi/bin/pulumi",
  directory: "/opt/pulumi/bin",
  languageDirectory: "/opt/languages",
  version: "3.300.0",
  source: "path",
};

/** As `pulumi login` leaves it. */
async function logIn(url: string): Promise<void> {
  await mkdir(join(folder, ".pulumi"), { recursive: true });
  await writeFile(
    join(folder, ".pulumi", "credentials.json"),
    JSON.stringify({ current: url, accessTokens: { [url]: "canary" } }),
  );
}

test("without a backend of the user's: ours, with a random passphrase that only the user can read", async () => {
  const environment = await pulumiEnvironment(home, tool, { HOME: folder, PATH: "/usr/bin" });
  expect(environment["PULUMI_BACKEND_URL"]).toBe(`file://${home}/state?metadata=skip`);
  const file = environment["PULUMI_CONFIG_PASSPHRASE_FILE"] ?? "";
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(join(home, "state"))).mode & 0o777).toBe(0o700);
  const passphrase = (await readFile(file, "utf8")).trim();
  expect(passphrase.length).toBeGreaterThanOrEqual(43);
  expect(JSON.stringify(environment)).not.toContain(passphrase);
  expect(environment["PATH"]?.split(":").slice(1)).toEqual(["/opt/pulumi/bin", "/opt/languages", "/usr/bin"]);
});

test("the passphrase is made once, also by many at once", async () => {
  await Promise.all(Array.from({ length: 8 }, () => pulumiEnvironment(home, tool, { HOME: folder })));
  const first = await readFile(join(home, "passphrase"), "utf8");
  await pulumiEnvironment(home, tool, { HOME: folder });
  expect(await readFile(join(home, "passphrase"), "utf8")).toBe(first);
});

test.each([
  ["PULUMI_BACKEND_URL", { PULUMI_BACKEND_URL: "s3://me:canary@states?key=canary" }],
  ["PULUMI_ACCESS_TOKEN", { PULUMI_ACCESS_TOKEN: "canary" }],
])("%s keeps the user's own backend and passphrase", async (name, variables) => {
  const environment = await pulumiEnvironment(home, tool, { HOME: folder, ...variables });
  expect(Object.keys(environment).filter((key) => /BACKEND|PASSPHRASE/.test(key))).toEqual([]);
  await expect(stat(join(home, "passphrase"))).rejects.toThrow("ENOENT");
  const backend = await backendOf(home, { HOME: folder, ...variables });
  expect(backend.kind).toBe("user");
  expect(backend.description).toContain(name);
  expect(backend.description).not.toContain("canary");
});

test("a `pulumi login` holds, one into our own state is ours", async () => {
  await logIn("https://api.pulumi.com");
  expect((await backendOf(home, { HOME: folder })).kind).toBe("user");
  expect((await backendOf(home, { HOME: folder, PULUMI_HOME: join(folder, "elsewhere") })).kind).toBe("ours");
  await logIn(stateUrl(home));
  expect((await backendOf(home, { HOME: folder })).kind).toBe("ours");
});

test("torn or empty credentials are no login", async () => {
  await logIn("");
  expect((await backendOf(home, { HOME: folder })).kind).toBe("ours");
  await writeFile(join(folder, ".pulumi", "credentials.json"), '{"current": "htt');
  expect((await backendOf(home, { HOME: folder })).kind).toBe("ours");
});

test.each([{ PULUMI_CONFIG_PASSPHRASE: "" }, { PULUMI_CONFIG_PASSPHRASE_FILE: "/mine" }])(
  "a passphrase of the user's (%o) is used with our backend",
  async (variables) => {
    const environment = await pulumiEnvironment(home, tool, { HOME: folder, ...variables });
    expect(environment["PULUMI_BACKEND_URL"]).toBe(stateUrl(home));
    expect(environment).not.toHaveProperty("PULUMI_CONFIG_PASSPHRASE_FILE");
  },
);

test("a lost passphrase is not replaced while stacks are encrypted with it", async () => {
  const stacks = join(home, "state", ".pulumi", "stacks", "tuneup");
  await mkdir(stacks, { recursive: true });
  await writeFile(join(stacks, "local.json"), "{}");
  await expect(pulumiEnvironment(home, tool, { HOME: folder })).rejects.toMatchObject({ code: "passphrase-lost" });
});

test("eval of the exports of plain pulumi's environment gives the same again", async () => {
  const first = await pulumiEnvironment(home, tool, { HOME: folder, PATH: "/usr/bin" });
  const again = await pulumiEnvironment(home, tool, { HOME: folder, ...first });
  expect({ ...first, ...again }).toEqual(first);
});

test("the data directory follows TUNEUP_HOME, then XDG, then HOME", () => {
  expect(homeOf({ TUNEUP_HOME: "/a/", XDG_DATA_HOME: "/x", HOME: "/h" })).toBe("/a");
  expect(homeOf({ TUNEUP_HOME: "", XDG_DATA_HOME: "/x", HOME: "/h" })).toBe("/x/tuneup");
  expect(homeOf({ XDG_DATA_HOME: "relative", HOME: "/h" })).toBe("/h/.local/share/tuneup");
  expect(() => homeOf({ TUNEUP_HOME: "here", HOME: "/h" })).toThrow(/absolute/);
  expect(() => homeOf({})).toThrow(/TUNEUP_HOME/);
});

test("that a stack has no resources is certain of our own backend's file alone", async () => {
  const stacks = join(home, "state/.pulumi/stacks/tuneup");
  const asked = (environment = {}) => hasNoResources("a", home, { HOME: folder, ...environment });
  expect(await asked()).toBe(true);
  expect(await asked({ PULUMI_BACKEND_URL: "file:///elsewhere" })).toBe(false);
  await mkdir(stacks, { recursive: true });
  const said = [];
  const latest = [{ manifest: {} }, null, { resources: [] }, { resources: [{ type: "pulumi:pulumi:Stack" }] }];
  const texts = latest.map((one) => JSON.stringify({ version: 3, checkpoint: { stack: "a", latest: one } }));
  for (const text of [...texts, "{"]) {
    await writeFile(join(stacks, "a.json"), text);
    said.push(await asked());
  }
  expect(said).toEqual([true, true, true, false, false]);
});
