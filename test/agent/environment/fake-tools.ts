import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { requirePython } from "../../../agent/environment/python.ts";

/** What the fake uv does at `pip install`: succeed, fail for a full disk, or hang after it wrote something. */
export type Behaviour = "normal" | "disk-full" | "hang";

/** Programs in a folder of their own, in place of uv, nvidia-smi and the venv's Python. */
export interface FakeTools {
  readonly bin: string;
  /** Set what the next calls do. */
  behave(settings: Settings): Promise<void>;
  /** Words of each call of uv so far. */
  calls(): Promise<string[][]>;
}

interface Settings {
  readonly install?: Behaviour;
  /** Is PyTorch's index reachable? Default: no. */
  readonly index?: boolean;
  /** What the self-test answers, over the facts of a CPU. */
  readonly selfTest?: Readonly<Record<string, unknown>>;
  /** Driver of one GPU that nvidia-smi lists. Default: no nvidia-smi. */
  readonly driver?: string;
  /** nvidia-smi is there, says this and fails. */
  readonly brokenDriver?: string;
}

const facts = {
  python: "3.12.1",
  torch: "2.13.0+cpu",
  cuda: null,
  transformers: "5.5.4",
  llamafactory: "0.9.5",
  deviceName: "Fake CPU",
};

/** As the guard of agent/attached.ts it is a real Python; else it is the self-test. */
const python = (root: string, real: string) => `#!/bin/sh
if [ "$3" = "-c" ]; then exec "${real}" "$@"; fi
cat "${root}/self-test.json"
`;

/** uv, as far as the environment needs it. A hanging install tells its pid in `installing`. */
const uv = (root: string) => `#!/bin/sh
printf '%s\\037' "$@" >> "${root}/calls"; echo >> "${root}/calls"
. "${root}/settings"
case "$*" in
  --version) echo "uv 0.13.9" ;;
  "cache dir") echo "${root}" ;;
  venv*)
    for folder; do :; done
    mkdir -p "$folder/bin" "$folder/lib/python3.12/site-packages"
    cp "${root}/venv-python" "$folder/bin/python" ;;
  *--target*) if [ "$INDEX" = yes ]; then exit 0; fi; echo "error: Failed to fetch: x" >&2; echo "  cause: dns error" >&2; exit 2 ;;
  *--dry-run*) echo "Would install 3 packages" >&2 ;;
  *install*)
    case "$INSTALL" in
      disk-full) echo "error: failed to write" >&2; echo "  cause: No space left on device (os error 28)" >&2; exit 2 ;;
      hang) echo $$ > "${root}/installing"; while :; do sleep 0.1; done ;;
    esac ;;
esac
`;

/** Makes the tools below `root`. PATH must be set to `bin` by the caller. */
export async function makeFakeTools(root: string): Promise<FakeTools> {
  const bin = join(root, "bin");
  const { path: real } = await requirePython();
  await mkdir(bin, { recursive: true });
  const program = async (path: string, text: string) => {
    await writeFile(path, text);
    await chmod(path, 0o755);
  };
  await program(join(root, "venv-python"), python(root, real));
  await program(join(bin, "uv"), uv(root));
  await program(
    join(bin, "python3"),
    `#!/bin/sh
if [ "$3" = "-c" ] && [ $# -gt 4 ]; then exec "${real}" "$@"; fi
echo "${join(bin, "python3")}"; echo "3.12.1 True"
`,
  );
  for (const tool of ["sh", "cat", "mkdir", "cp", "sleep", "echo", "printf"]) {
    await symlink(`/bin/${tool}`, join(bin, tool)).catch(() => undefined);
  }
  const tools: FakeTools = {
    bin,
    behave: async ({ install = "normal", index = false, selfTest = {}, driver, brokenDriver }) => {
      await writeFile(join(root, "settings"), `INSTALL=${install}\nINDEX=${index ? "yes" : "no"}\n`);
      await writeFile(join(root, "self-test.json"), JSON.stringify({ ...facts, ...selfTest }));
      if (brokenDriver !== undefined) {
        await program(join(bin, "nvidia-smi"), `#!/bin/sh\necho "${brokenDriver}"\nexit 9\n`);
      }
      if (driver === undefined) return;
      await program(join(bin, "nvidia-smi"), `#!/bin/sh\necho "0, GPU-1234, NVIDIA Test 9000, 81920, ${driver}"\n`);
    },
    calls: async () => {
      const text = await readFile(join(root, "calls"), "utf8").catch(() => "");
      return text.split("\n").flatMap((line) => (line === "" ? [] : [line.split("\x1f").slice(0, -1)]));
    },
  };
  await tools.behave({});
  return tools;
}
