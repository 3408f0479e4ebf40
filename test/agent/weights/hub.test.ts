import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { layoutOf } from "../../../recipe/layout.ts";
import { resolveModel } from "../../../agent/weights/hub.ts";
import { findMismatches } from "../../../agent/weights/mismatches.ts";
import { listen } from "../context.ts";

let root: string;
beforeEach(async () => (root = await mkdtemp(join(tmpdir(), "tuneup-hub-"))));
afterEach(() => rm(root, { recursive: true }));

type Answers = Record<"huggingface" | "modelscope", object | "never">;

/** An environment whose "Python" answers for the hubs' clients; test/faults/weights.test.ts has the real ones. */
async function environment(answers: Answers): Promise<string> {
  const bin = join(root, "env", "bin");
  await mkdir(bin, { recursive: true });
  const script = `#!${process.execPath}
let text = ""; process.stdin.on("data", (part) => (text += part)).on("end", () => {
  const answer = ${JSON.stringify(answers)}[JSON.parse(text).hub];
  if (answer === "never") setInterval(() => {}, 1000); else console.log(JSON.stringify(answer));
});`;
  await writeFile(join(bin, "python"), script);
  await chmod(join(bin, "python"), 0o755);
  return join(root, "env");
}

async function resolve(answers: Answers) {
  const access = { layout: layoutOf(root), environment: await environment(answers), token: undefined };
  const context = listen();
  const outcome = await resolveModel(access, { source: "hub", id: "Owner/Name" }, context).catch(
    (fault: unknown) => fault,
  );
  return { outcome, logged: context.logged };
}

const found = {
  revision: "abc",
  at: "abc",
  license: null,
  files: [{ path: "model.safetensors", bytes: 3, sha256: null }],
};
const unreachable = { fault: "unreachable", detail: "no route" };

it("takes the first hub that answers and leaves the other", async () => {
  const { outcome, logged } = await resolve({ huggingface: "never", modelscope: found });
  expect(outcome).toMatchObject({ hub: "modelscope", revision: "abc" });
  expect(logged).toEqual(["info: Owner/Name comes from ModelScope, which answered first."]);
});

it("asks ModelScope first with the mirrors of China, and the other only where that can't help", async () => {
  vi.stubEnv("TUNEUP_MIRRORS", "cn");
  try {
    expect((await resolve({ huggingface: "never", modelscope: found })).outcome).toMatchObject({ hub: "modelscope" });
    const missing = { fault: "not-found", detail: "" };
    expect((await resolve({ huggingface: found, modelscope: missing })).outcome).toMatchObject({ hub: "huggingface" });
    expect((await resolve({ huggingface: missing, modelscope: unreachable })).outcome).toMatchObject({
      code: "weights-not-found",
    });
  } finally {
    vi.unstubAllEnvs();
  }
});

it("takes the other when one has a reason not to", async () => {
  const { outcome } = await resolve({ huggingface: found, modelscope: { fault: "not-found", detail: "" } });
  expect(outcome).toMatchObject({ hub: "huggingface" });
});

it("tells both reasons, and advises by the one that can be acted on", async () => {
  const { outcome } = await resolve({ huggingface: { fault: "gated", detail: "" }, modelscope: unreachable });
  expect(outcome).toMatchObject({ code: "weights-gated" });
  expect((outcome as Error).message).toMatch(
    /Hugging Face gives .* ModelScope can't be reached for Owner\/Name \(no route\)/,
  );
});

it("says which file is not what the hub said", async () => {
  await writeFile(join(root, "d"), "hello\n");
  const files = [
    { path: "a", bytes: 1, sha256: "1".repeat(64) },
    { path: "b", bytes: 2, sha256: null },
    { path: "c", bytes: 3, sha256: "3".repeat(64) },
    { path: "d", bytes: 6, sha256: null, git: "0".repeat(40) },
    { path: "d", bytes: 6, sha256: null, git: "ce013625030ba8dba906f756967f9e9ca394464a" },
  ];
  const digests = [
    { path: "a", bytes: 1, sha256: "2".repeat(64) },
    { path: "b", bytes: 9, sha256: "9".repeat(64) },
    { path: "d", bytes: 6, sha256: "d".repeat(64) },
  ];
  const wrong = await findMismatches({ source: "Hugging Face", files, folder: root }, digests);
  expect(wrong.map(({ how }) => how)).toEqual([
    "a has another sha256 than Hugging Face says",
    "b has 9 bytes where Hugging Face says 2",
    "c was not downloaded",
    "d has another Git hash than Hugging Face says",
  ]);
});
