import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { buildRoute } from "../../cli/toolchain/build.ts";
import { officialRoute } from "../../cli/toolchain/official.ts";
import { ensurePulumi } from "../../cli/toolchain/pulumi.ts";
import type { InstallRoute, RouteContext } from "../../cli/toolchain/route.ts";
import { isAtLeast, pulumiVersion } from "../../cli/toolchain/versions.ts";
import { Fault } from "../../recipe/fault.ts";
import { makeFolder, writeGo, writePulumi } from "./fake-tools.ts";

let folder: string;
let remove: () => Promise<void>;
let said: string[];

beforeEach(async () => {
  ({ folder, remove } = await makeFolder());
  said = [];
});
afterEach(() => remove());

const home = () => join(folder, "home");
const report = { step: (line: string) => void said.push(line), progress: (line: string) => void said.push(line) };

/** Only `folders` are on PATH, and every proxied connection is refused at once. */
function options(...folders: string[]): Partial<RouteContext> {
  return { report, environment: { HOME: folder, PATH: folders.join(":"), HTTPS_PROXY: "http://127.0.0.1:9" } };
}

function route(install: InstallRoute["install"]): InstallRoute {
  return { name: "The test's route", source: "official", install };
}

const working = route((target) => writePulumi(join(target, "bin")));
const never = route(() => Promise.reject(new Error("must not be tried")));

test("the CLI on PATH is taken when it is recent enough and finds its language host", async () => {
  await writePulumi(join(folder, "a"), "3.300.1");
  const tool = await ensurePulumi(home(), { ...options(join(folder, "a")), routes: [never] });
  expect(tool).toMatchObject({ source: "path", version: "3.300.1", command: join(folder, "a", "pulumi") });

  await writePulumi(join(folder, "b"), "3.250.0", true);
  const split = await ensurePulumi(home(), { ...options(join(folder, "b"), join(folder, "a")), routes: [never] });
  expect(split).toMatchObject({ directory: join(folder, "b"), languageDirectory: join(folder, "a") });
});

test.each([
  ["is too old", "3.239.9", false, /is 3\.239\.9, and >= 3\.240\.0 is needed/],
  ["has no language host", pulumiVersion, true, /has no pulumi-language-nodejs/],
  ["says no version", "unknown", false, /does not answer/],
])("a CLI on PATH that %s is told and replaced by an installed one", async (_name, version, bare, reason) => {
  await writePulumi(join(folder, "a"), version, bare);
  const tool = await ensurePulumi(home(), { ...options(join(folder, "a")), routes: [working] });
  expect(tool).toMatchObject({ source: "official", version: pulumiVersion });
  expect(tool.command.startsWith(home())).toBe(true);
  expect(said.join("\n")).toMatch(reason);
});

test("what was installed once is found again without a route and without a word", async () => {
  await ensurePulumi(home(), { ...options(), routes: [working] });
  said = [];
  const tool = await ensurePulumi(home(), { ...options(), routes: [never] });
  expect(tool.version).toBe(pulumiVersion);
  expect(said).toEqual([]);
});

test("a route that fails, or leaves something unusable, says why and gives way to the next", async () => {
  const broken = route((target) => writePulumi(join(target, "bin"), "1.0.0"));
  const failing = route(() => Promise.reject(new Fault({ code: "x", message: "no network here." })));
  const tool = await ensurePulumi(home(), { ...options(), routes: [failing, broken, working] });
  expect(tool.version).toBe(pulumiVersion);
  expect(said.join("\n")).toMatch(/no network here/);
  expect(said.join("\n")).toMatch(/answers 1\.0\.0 to `pulumi version`/);
});

test("with no route left there is one fault that has every reason and names what to install", async () => {
  const failure = await ensurePulumi(home(), options()).catch((thrown: unknown) => thrown as Fault);
  expect(failure).toBeInstanceOf(Fault);
  expect(failure).toMatchObject({ code: "pulumi-missing" });
  const { sentence } = failure as Fault;
  expect(sentence).toMatch(/On PATH: not found/);
  expect(sentence).toMatch(/get\.pulumi\.com.*can't be reached/);
  expect(sentence).toMatch(/Go was not found/);
  expect(sentence).toMatch(/Install by hand either the Pulumi CLI >= 3\.240\.0 .* or Go >= 1\.25/);
  expect(await readdir(join(home(), "tools"))).toEqual([]);
});

test("two at once: one installs, the other waits, says so and takes the same", async () => {
  let installs = 0;
  const waiting = Promise.withResolvers<undefined>();
  const slow = route(async (target) => {
    installs++;
    await waiting.promise;
    await writePulumi(join(target, "bin"));
  });
  const noticing = {
    step(line: string) {
      said.push(line);
      if (line.startsWith("Waiting for another")) waiting.resolve(undefined);
    },
    progress: () => undefined,
  };
  const both = await Promise.all(
    [1, 2].map(() => ensurePulumi(home(), { ...options(), report: noticing, routes: [slow] })),
  );
  expect(installs).toBe(1);
  expect(both[0]).toEqual(both[1]);
});

test("a cancelled installation leaves nothing behind and the next call installs", async () => {
  const abort = new AbortController();
  const interrupted = route(async (target) => {
    await writePulumi(join(target, "bin"));
    abort.abort();
    throw new Error("killed");
  });
  const first = ensurePulumi(home(), { ...options(), signal: abort.signal, routes: [interrupted, working] });
  await expect(first).rejects.toMatchObject({ code: "cancelled" });
  expect(await readdir(join(home(), "tools"))).toEqual([]);
  await expect(ensurePulumi(home(), { ...options(), routes: [working] })).resolves.toMatchObject({
    source: "official",
  });
});

test("what a killed installation left is removed by the next", async () => {
  await mkdir(join(home(), "tools", `pulumi-${pulumiVersion}.dead.partial`, "bin"), { recursive: true });
  await ensurePulumi(home(), { ...options(), routes: [working] });
  expect(await readdir(join(home(), "tools"))).toEqual([`pulumi-${pulumiVersion}`]);
});

test("an unreachable installer fails with the reason and leads to the build with Go", async () => {
  await writeGo(join(folder, "go"));
  const tool = await ensurePulumi(home(), { ...options(join(folder, "go")), routes: [officialRoute, buildRoute] });
  expect(tool.source).toBe("built");
  expect(said.join("\n")).toMatch(/official installer is no way here: .*ECONNREFUSED/);
  expect(said.join("\n")).toMatch(/1 modules fetched/);
  expect(said.join("\n")).toMatch(/pulumi: 1 of 2 packages compiled/);
});

test("a Go that is too old or fails is told with its version or its own last line", async () => {
  await writeGo(join(folder, "old"), { version: "go1.24.9" });
  await expect(ensurePulumi(home(), { ...options(join(folder, "old")), routes: [buildRoute] })).rejects.toThrow(
    /go1\.24\.9, and Go >= 1\.25\.0 is needed/,
  );
  await writeGo(join(folder, "bad"), { onBuild: 'console.error("x\\ngo: no space left on device"); process.exit(1);' });
  await expect(ensurePulumi(home(), { ...options(join(folder, "bad")), routes: [buildRoute] })).rejects.toThrow(
    /go build failed: go: no space left on device/,
  );
});

test("a data directory that can't be made is one sentence", async () => {
  await writePulumi(join(folder, "file"));
  // Below /proc Node's own recursive mkdir would never end.
  for (const impossible of [join(folder, "file", "pulumi"), "/proc/tuneup/home"]) {
    const failure = ensurePulumi(impossible, { ...options(), routes: [working] });
    await expect(failure).rejects.toMatchObject({ code: "home-unwritable" });
  }
});

test("a data directory is made with all its parents, for the user alone", async () => {
  const deep = join(folder, "a", "b", "home");
  await Promise.all([1, 2, 3].map(() => ensurePulumi(deep, { ...options(), routes: [working] })));
  expect((await stat(deep)).mode & 0o777).toBe(0o700);
});

test("the version we install is the one that tools/ pins", async () => {
  const modules = await readFile(new URL("../../tools/pulumi/go.mod", import.meta.url), "utf8");
  expect(modules).toContain(`github.com/pulumi/pulumi/pkg/v3 v${pulumiVersion}`);
});

test("versions are compared part by part as numbers", () => {
  expect(isAtLeast("v3.1000.0", "3.240.0")).toBe(true);
  expect(isAtLeast("go1.25", "1.25.0")).toBe(true);
  expect(isAtLeast("4.0.0-alpha.1", "3.240.0")).toBe(true);
  expect(isAtLeast("3.99.0", "3.240.0")).toBe(false);
  expect(isAtLeast("none", "3.240.0")).toBe(false);
});
