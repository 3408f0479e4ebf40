import { createHash } from "node:crypto";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { execa } from "execa";
import { beforeEach, describe, expect, it } from "vitest";
import { callScript, resumeScript } from "../../../recipe/aws/group-scripts.ts";
import { address, prefix, useMachines } from "./stage.ts";

/** How a machine of a group begins: as the first, or in another's place. */
const machines = useMachines();
let data: string;
let folder: string;
const at = (path: string): string => join(folder, path);
const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");

/** Stands in for the agent: says its words and its user. */
const agent = `console.log("agent", process.argv.slice(2).join(" "), process.env.HOME);\n`;

async function script(name: string, content: string): Promise<void> {
  await mkdir(dirname(at(name)), { recursive: true });
  await writeFile(at(name), content);
  await chmod(at(name), 0o755);
}

beforeEach(async () => {
  data = await machines.machine();
  folder = dirname(data);
  await script("aws-call", callScript);
  await script("resume", resumeScript({ region: "us-east-1", address, mountPoint: data, user: "ubuntu" }));
  // Nobody but root becomes another user.
  await script("bin/runuser", '#!/bin/sh\n[ "$1 $2 $3" = "-u ubuntu --" ] || exit 9\nshift 3\nexec "$@"\n');
  await script("bin/chown", `#!/bin/sh\necho "$*" >>"${folder}/owned"\n`);
  await script("bin/sleep", `#!/bin/sh\necho "$*" >>"${folder}/slept"\n`);
});

/** What the machine before left. */
function leave(plan: object = {}): void {
  const node = `#!/bin/sh\nexec "${process.execPath}" "$@"\n`;
  const { objects } = machines.bucket;
  objects.set(`${prefix}agent-1.mjs`, Buffer.from(agent));
  objects.set(`${prefix}node-1.gz`, gzipSync(node));
  const whole = {
    ...{ schemaVersion: 1, told: [] },
    ...{ agent: { object: "agent-1.mjs", sha256: sha256(agent) }, node: { object: "node-1.gz", sha256: sha256(node) } },
    ...plan,
  };
  objects.set(`${prefix}plan.json`, Buffer.from(JSON.stringify(whole)));
}

async function run() {
  const env = {
    ...{ PATH: `${folder}/bin:/usr/bin:/bin`, AWS_EC2_METADATA_SERVICE_ENDPOINT: machines.metadata },
    ...{ AWS_ENDPOINT_URL: machines.bucket.endpoint, no_proxy: "*" },
  };
  const { exitCode, stdout, stderr } = await execa(at("resume"), { env, extendEnv: false, reject: false });
  return { exitCode, said: stdout.split("\n"), stderr };
}

describe("a machine of a group", () => {
  it.each([404, 403])(
    "is the first where no plan was left, of which S3 says %i, and waits for `up`",
    async (status) => {
      machines.bucket.hides = status === 403;
      expect(await run()).toMatchObject({ exitCode: 0, said: ["tuneup: this machine is the first."] });
    },
  );

  it("starts the agent of the machine before by its plan, with its Node, as the machine's user", async () => {
    leave();
    const { exitCode, said } = await run();
    expect(said).toEqual([
      "tuneup: this machine took another's place, and goes on by what that one was told.",
      `agent resume --data-directory ${data} --plan ${data}/resume/plan.json /home/ubuntu`,
    ]);
    expect(exitCode).toBe(0);
    // Where `up` looks for them, and what an end takes for work.
    expect(await readFile(`${data}/agent/${sha256(agent).slice(0, 12)}/agent.mjs`, "utf8")).toBe(agent);
    expect(await readFile(`${data}/tools/node-24/bin/node`, "utf8")).toContain("exec");
    expect(await readFile(at("owned"), "utf8")).toBe(`-R ubuntu: ${data}\n`);
  });

  it.each(["agent", "node"])("starts no %s that was changed in the bucket", async (which) => {
    leave({ [which]: { object: which === "agent" ? "agent-1.mjs" : "node-1.gz", sha256: "0".repeat(64) } });
    const { exitCode, said } = await run();
    expect(exitCode).toBe(1);
    expect(said.at(-1)).toMatch(/ is not what the plan says\.$/);
    expect(said.join()).not.toContain("agent resume");
  });

  it("tries a few times where the bucket does not answer, then says so", async () => {
    leave();
    machines.bucket.refusals.push([503, "SlowDown"], [503, "SlowDown"]);
    expect(await run()).toMatchObject({ exitCode: 0 });
    expect((await readFile(at("slept"), "utf8")).split("\n")).toHaveLength(3);
    await rm(at("slept"));
    machines.bucket.refusal = [403, "AccessDenied"];
    const { exitCode, said, stderr } = await run();
    expect(exitCode).toBe(1);
    expect(said.at(-1)).toBe("tuneup: this machine can't go on by itself: its plan could not be fetched.");
    expect(stderr).toContain("tuneup: AWS refuses fetch: HTTP 403");
    expect(stderr).not.toContain("canary");
  });
});
