import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeFolder, writeProgram, written, writtenPid } from "./fake-tools.ts";

let folder: string;
let project: string;
let remove: () => Promise<void>;

const lock = {
  lockfileVersion: 3,
  packages: {
    "": { name: "tuneup" },
    "node_modules/one": { version: "1.0.0", integrity: "sha512-one" },
    "node_modules/other-platform": { version: "2.0.0", integrity: "sha512-two", optional: true },
  },
};

beforeEach(async () => {
  ({ folder, remove } = await makeFolder());
  project = join(folder, "project");
  await mkdir(project);
  await writeFile(join(project, "package-lock.json"), JSON.stringify(lock));
});
afterEach(() => remove());

/** An npm that notes each call in `calls`, then runs `code`, where `install()` leaves what a finished `npm ci` does. */
function writeNpm(code: string): Promise<void> {
  return writeProgram(
    join(folder, "bin", "npm"),
    `
    const fs = require("node:fs");
    const lock = JSON.parse(fs.readFileSync("package-lock.json", "utf8"));
    delete lock.packages["node_modules/other-platform"];
    const install = () => {
      fs.mkdirSync("node_modules", { recursive: true });
      fs.writeFileSync("node_modules/.package-lock.json", JSON.stringify(lock));
    };
    fs.appendFileSync(${JSON.stringify(join(folder, "calls"))}, process.argv.slice(2).join(" ") + "\\n");
    ${code}
    `,
  );
}

async function calls(): Promise<string[]> {
  const lines = await readFile(join(folder, "calls"), "utf8").catch(() => "");
  return lines.split("\n").filter((line) => line !== "");
}

/** Starts a process that ensures the project's packages, as `node scripts/run.mjs` does. */
function start() {
  const bootstrap = new URL("../../scripts/bootstrap.mjs", import.meta.url).href;
  const code = `
    import { ensureDependencies } from ${JSON.stringify(bootstrap)};
    await ensureDependencies(${JSON.stringify(project)}).catch((error) => { console.error("fault: " + error.message); process.exit(1); });
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    env: { HOME: folder, PATH: join(folder, "bin") },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said = text(child.stderr);
  const ended = once(child, "exit").then(async ([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
    said: await said,
  }));
  return { child, ended };
}

test("missing packages are installed once, said so, and then left alone without a word", async () => {
  await writeNpm("install();");
  const first = await start().ended;
  expect(first).toMatchObject({ code: 0 });
  expect(first.said).toMatch(/npm packages installed in \d+ s/);
  expect(await start().ended).toEqual({ code: 0, signal: null, said: "" });
  expect(await calls()).toEqual(["ci --no-audit --no-fund --loglevel=error"]);
});

test("another package-lock.json installs again", async () => {
  await writeNpm("install();");
  await start().ended;
  const changed = structuredClone(lock);
  changed.packages["node_modules/one"].version = "1.0.1";
  await writeFile(join(project, "package-lock.json"), JSON.stringify(changed));
  await start().ended;
  expect(await calls()).toHaveLength(2);
});

test("two at once: one installs, the other waits for it and then finds everything there", async () => {
  await writeNpm(
    `fs.writeFileSync(${JSON.stringify(join(folder, "begun"))}, "yes");
     const wait = () => fs.existsSync(${JSON.stringify(join(folder, "go-on"))}) ? install() : setTimeout(wait, 20);
     wait();`,
  );
  const first = start();
  await written(folder, "begun");
  const second = start();
  await new Promise<void>((resolve) => second.child.stderr.once("data", () => resolve()));
  await writeFile(join(folder, "go-on"), "");
  expect(await first.ended).toMatchObject({ code: 0 });
  expect((await second.ended).said).toMatch(/Waiting for another tuneup/);
  expect(await calls()).toHaveLength(1);
});

test("an installation that was killed is begun anew, once the npm that outlived it has ended", async () => {
  await writeNpm(
    `fs.writeFileSync(${JSON.stringify(join(folder, "begun"))}, String(process.pid)); setInterval(() => {}, 1000);`,
  );
  const first = start();
  const npm = await writtenPid(folder, "begun");
  const gone = once(first.child, "exit");
  first.child.kill("SIGKILL");
  await gone;

  await writeNpm("install();");
  const second = start();
  if (process.platform === "linux")
    await new Promise<void>((resolve) => second.child.stderr.once("data", () => resolve()));
  process.kill(npm, "SIGKILL");
  const { code, said } = await second.ended;
  expect(code).toBe(0);
  if (process.platform === "linux") expect(said).toMatch(/Waiting for another tuneup/);
  expect(await calls()).toHaveLength(2);
});

test("an npm that fails, or is not there, is one sentence", async () => {
  const without = await start().ended;
  expect(without.said).toMatch(/fault: npm was not found on PATH\. Install Node >= 20/);
  await writeNpm("process.exit(3);");
  const failed = await start().ended;
  expect(failed.code).toBe(1);
  expect(failed.said).toMatch(/fault: npm ci failed with exit code 3/);
});
