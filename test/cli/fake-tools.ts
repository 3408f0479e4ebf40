import { watch } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pulumiVersion } from "../../cli/toolchain/versions.ts";

/** A folder for one test's fake programs and data directory. */
export async function makeFolder(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "tuneup-tools-"));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** An executable at `path` that runs `code` as JavaScript, whatever PATH is. */
export async function writeProgram(path: string, code: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!${process.execPath}\n${code}\n`);
  await chmod(path, 0o755);
}

/** A `pulumi` in `folder` that says `version`, with its language host unless `bare`. */
export async function writePulumi(folder: string, version: string = pulumiVersion, bare = false): Promise<void> {
  await writeProgram(join(folder, "pulumi"), `console.log("v${version}")`);
  if (!bare) await writeProgram(join(folder, "pulumi-language-nodejs"), "");
}

/**
 * A `go` in `folder` that answers `version`, `list` and `build`. `build` runs `onBuild` first, then leaves a program
 * that answers as Pulumi would.
 */
export async function writeGo(folder: string, options: { version?: string; onBuild?: string } = {}): Promise<void> {
  await writeProgram(
    join(folder, "go"),
    `
    const fs = require("node:fs");
    const words = process.argv.slice(2);
    if (words[0] === "version") console.log("go version ${options.version ?? "go1.26.8"} linux/amd64");
    if (words[0] === "list") {
      console.error("go: downloading example.com/one v1.0.0");
      console.log("example.com/one\\nexample.com/two");
    }
    if (words[0] === "build") {
      ${options.onBuild ?? ""}
      console.error("example.com/one\\nexample.com/two");
      const target = words[words.indexOf("-o") + 1];
      fs.writeFileSync(target, "#!${process.execPath}\\nconsole.log('v${pulumiVersion}')\\n", { mode: 0o755 });
    }
    `,
  );
}

/** What another process writes into the file `name` of `folder`, once it is there and not empty. */
export async function written(folder: string, name: string): Promise<string> {
  const abort = new AbortController();
  try {
    return await new Promise<string>((resolve) => {
      const look = () =>
        void readFile(join(folder, name), "utf8").then(
          (text) => {
            if (text !== "") resolve(text);
          },
          () => undefined,
        );
      watch(folder, { signal: abort.signal }, look).on("error", () => undefined);
      look();
    });
  } finally {
    abort.abort();
  }
}

/** The process id that another process writes into the file `name`. Never 0, which would mean our own group. */
export async function writtenPid(folder: string, name: string): Promise<number> {
  const text = await written(folder, name);
  const pid = Number(text);
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`${name} holds ${JSON.stringify(text)}, no process id.`);
  return pid;
}
