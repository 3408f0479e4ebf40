import { existsSync } from "node:fs";
import { open, readdir, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { readRecord, sha256OfFile } from "../../agent/files.ts";
import { weightsRecord } from "../../recipe/lifecycle.ts";
import { until } from "../agent/runs/harness.ts";
import { changesIn, expectComplete, expectSentence, expectSound } from "./soundness.ts";
import { needsRoot } from "./ssh/needs-root.ts";
import { openSshStage, type SshStage } from "./ssh/stage.ts";

/** A host that reaches nothing but its end of the wire: the weights are pushed from here. One after the other. */
const name = "tiny";
const shard = "model-00001-of-00002.safetensors";
let stage: SshStage;

needsRoot(
  async () => {
    // The shard alone has 5 MB.
    stage = await openSshStage({ rig: { disks: { models: 3 } } });
    await stage.write(name, 20, { teardown: "after-training", serve: {} });
  },
  () => stage.remove(),
);

/** Processes of the user on the host, but for the session of a kept connection. */
const computing = async () => (await stage.rig.processes()).filter(({ words }) => !words.startsWith("sshd:"));

/** The folder of the pushed model on the host. */
async function pushed(): Promise<string> {
  const names = await readdir(join(stage.data, "models"));
  const found = names.filter((one) => one.startsWith(basename(stage.model)));
  expect(found, names.join()).toHaveLength(1);
  return join(stage.data, "models", found[0] ?? "");
}

/** Other bytes at the start of a file, whose length stays. */
async function damage(path: string): Promise<void> {
  const file = await open(path, "r+");
  await file.write(Buffer.alloc(64, 0xa5), 0, 64, 0);
  await file.close();
}

async function expectWhole(): Promise<void> {
  const folder = await pushed();
  const record = await readRecord(join(folder, ".complete"), weightsRecord);
  expect(record?.files.map(({ path }) => path)).toContain(shard);
  for (const { path, sha256 } of record?.files ?? []) expect(await sha256OfFile(join(folder, path)), path).toBe(sha256);
  expect(await sha256OfFile(join(folder, shard))).toBe(await sha256OfFile(join(stage.model, shard)));
}

test("a disk that is full while weights are pushed stops with the sentence, and nothing is complete", async () => {
  expectSentence(await stage.tuneup("up", name), /The disk is too full/, /storage\.dataDirectory/);
  const folder = await pushed();
  expect((await stat(join(folder, `${shard}.part`))).size).toBeGreaterThan(0);
  expect(existsSync(join(folder, shard))).toBe(false);
  expect(existsSync(join(folder, ".complete"))).toBe(false);
  await expect(stage.rig.ssh(`head -c 4000000 /dev/zero >${folder}/more`)).rejects.toThrow(/No space left/);
  await rm(join(folder, "more"), { force: true });
});

test("a half-pushed shard whose bytes are wrong is sent anew, and the run trains on the right ones", async () => {
  const part = join(await pushed(), `${shard}.part`);
  await damage(part);
  await stage.rig.resize("models", 64);
  await expectSound(stage, name);
  await expectWhole();
  expect(existsSync(part)).toBe(false);
});

test("after the training nothing computes any more, and another up changes nothing", async () => {
  await until(async () => (await computing()).length === 0);
  expect(await stage.rig.listening()).toEqual([]);
  const { said } = await stage.pulumi("stack", "output", "--json", "--stack", name);
  const outputs = JSON.parse(said) as Record<string, unknown>;
  expect(outputs["url"]).toBeUndefined();
  expect(outputs["artifact"]).toBe(join(stage.home, "artifacts", name, basename((await stage.run(name)).directory)));
});

test("a shard that is damaged on the host is sent again, and that alone", async () => {
  await damage(join(await pushed(), shard));
  const before = await stage.rig.wire.sent();
  const { code, said } = await stage.tuneup("up", name);
  expect(code, said).toBe(0);
  await expectWhole();
  await expectComplete(stage, name);
  const sent = (await stage.rig.wire.sent()) - before;
  const { size } = await stat(join(stage.model, shard));
  expect(sent).toBeGreaterThan(size);
  expect(sent).toBeLessThan(size * 1.4);
});

test("an artifact that lies on the host alone stops destroy, and the next up brings it", async () => {
  const folder = join(stage.home, "artifacts", name, basename((await stage.run(name)).directory));
  await rm(join(folder, "adapter_model.safetensors"));
  const refused = await stage.pulumi("destroy", "--yes", "--stack", name);
  expectSentence(refused, /lies on my-gpu alone/, /npx tuneup fetch tiny/, /teardown: \{discard: true\}/);
  const { code, said } = await stage.tuneup("up", name);
  expect(code, said).toBe(0);
  await expectComplete(stage, name);

  await rm(join(folder, "adapter_model.safetensors"));
  await stage.write(name, 20, { teardown: { when: "after-training", discard: true }, serve: {} });
  const allowed = await stage.pulumi("up", "--yes", "--stack", name);
  expect(allowed.code, allowed.said).toBe(0);
  expect(changesIn(allowed.said)).toEqual([]);
  const gone = await stage.pulumi("destroy", "--yes", "--stack", name);
  expect(gone.code, gone.said).toBe(0);
  await until(async () => (await stage.rig.processes()).length === 0);
  expect(await stage.rig.clients()).toEqual([]);
  expect(existsSync((await stage.run(name)).manifest)).toBe(true);
});
