import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { linesOf } from "./harness.ts";

const script = fileURLToPath(new URL("../../../agent/python/train.py", import.meta.url));

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tuneup-gpu-"));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Stands in for the libraries: a torch that finds a GPU or not, and a LLaMA-Factory that fails as soon as it is called. */
function writeModules(available: boolean, init: string): void {
  const modules = {
    "torch.py": `class cuda:
    is_available = staticmethod(lambda: ${available ? "True" : "False"})
    @staticmethod
    def init():
        ${init}

class ops:
    class mkldnn:
        _is_mkldnn_bf16_supported = staticmethod(lambda: False)

float32 = "float32"
`,
    "llamafactory/model/loader.py": `class Config:
    dtype = "bfloat16"

def load_config(model_args):
    return Config()
`,
    "llamafactory/train/tuner.py": `from llamafactory.model import loader

def run_exp(*_, **__):
    raise LookupError(f"it trains in {loader.load_config(None).dtype}")
`,
    "transformers/__init__.py": "class Trainer:\n    def _run_epoch(self): ...\n\nclass TrainerCallback: ...\n",
    "transformers/trainer_utils.py": "SaveStrategy = rotate_checkpoints = None\n",
  };
  for (const [path, text] of Object.entries(modules)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

/** What the real trainer reports of its end. */
async function faultOf(device: "cpu" | "cuda") {
  writeFileSync(join(root, "spec.json"), JSON.stringify({ device, arguments: {} }));
  const words = [script, "--run-directory", root, "--attempt", "1"];
  const { exitCode } = await execa("python3", words, { env: { PYTHONPATH: root }, reject: false });
  expect(exitCode).toBe(1);
  return linesOf<{ kind: string; type?: string }>(join(root, "reports.jsonl")).findLast(({ kind }) => kind === "fault");
}

test.each([
  ["raise RuntimeError('No CUDA GPUs are available')", "No CUDA GPUs are available"],
  ["pass", "torch finds no GPU that it can use"],
])("a GPU that is gone ends the trainer before it loads anything, never on the CPU (%s)", async (init, message) => {
  writeModules(false, init);
  expect(await faultOf("cuda")).toMatchObject({ type: "GpuMissing", message, phase: "importing", step: 0 });
});

test("a GPU that is there trains in what the weights are stored in, a CPU without bf16 in float32", async () => {
  writeModules(true, "pass");
  expect(await faultOf("cuda")).toMatchObject({ type: "LookupError", message: "it trains in bfloat16" });
  writeModules(false, "raise RuntimeError('not asked')");
  expect(await faultOf("cpu")).toMatchObject({ type: "LookupError", message: "it trains in float32" });
});
