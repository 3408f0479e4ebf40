import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isAlive } from "../../agent/processes.ts";
import { isLocked } from "../../agent/lock.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { makeFolder, writeGo, writtenPid } from "./fake-tools.ts";

let folder: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ folder, remove } = await makeFolder());
  await mkdir(home(), { recursive: true });
});
afterEach(() => remove());

const home = () => join(folder, "home");
const begun = () => join(folder, "begun");
const tools = () => readdir(layoutOf(home()).tools);

/** `tuneup setup` on a machine whose only tool is the fake Go and whose network is not there. */
function setUp() {
  const program = new URL("../../cli/tuneup.mjs", import.meta.url).pathname;
  const child = spawn(process.execPath, [program, "setup"], {
    env: { HOME: folder, PATH: join(folder, "bin"), TUNEUP_HOME: home(), HTTPS_PROXY: "http://127.0.0.1:9" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = Promise.all([text(child.stdout), text(child.stderr)]).then((parts) => parts.join(""));
  const ended = once(child, "exit").then(async ([code]) => ({ code: code as number | null, said: await said }));
  return { child, ended };
}

/** A Go whose build writes its pid and goes on for ever. */
const endless = () =>
  writeGo(join(folder, "bin"), {
    onBuild: `fs.writeFileSync(${JSON.stringify(begun())}, String(process.pid)); setInterval(() => {}, 1000); return;`,
  });

/** Pid of the Go that builds, once it does. */
const builder = () => writtenPid(folder, "begun");

test("Ctrl-C ends the build and leaves nothing; the next set-up goes through", async () => {
  await endless();
  const { child, ended } = setUp();
  const pid = await builder();
  child.kill("SIGINT");
  const { code, said } = await ended;
  expect(code).toBe(130);
  expect(said).toMatch(/The set-up was interrupted\. Run the same command again/);
  expect(isAlive(pid)).toBe(false);
  expect(await tools()).toEqual([]);

  await writeGo(join(folder, "bin"));
  const again = await setUp().ended;
  expect(again).toMatchObject({ code: 0 });
  expect(again.said).toMatch(/official installer is no way here/);
  expect(await tools()).toHaveLength(1);
});

test("SIGKILL in the middle leaves no lock, and the next set-up removes what it left", async () => {
  await endless();
  const { child, ended } = setUp();
  const pid = await builder();
  child.kill("SIGKILL");
  await ended;
  process.kill(pid, "SIGKILL");
  expect(isLocked(`${layoutOf(home()).locks}/pulumi.lock`)).toBe(false);
  expect((await tools()).join()).toMatch(/\.partial$/);

  await writeGo(join(folder, "bin"));
  expect(await setUp().ended).toMatchObject({ code: 0 });
  expect((await tools()).join()).not.toMatch(/partial/);
});
