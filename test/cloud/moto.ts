import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { requirePython } from "../../agent/environment/python.ts";
import { childEnvironment } from "../../agent/processes.ts";
import { installPackages } from "../fixtures/python-packages.ts";

/** Compiled from requirements.in beside it: `uv pip compile --generate-hashes --universal --python-version 3.10 --no-annotate --no-header`. */
const lock = fileURLToPath(new URL("./moto/requirements.lock", import.meta.url));

/** Folder for PYTHONPATH with moto, AWS's emulator, installed once by its lock into the shared test home. */
export async function installMoto(home: string): Promise<string> {
  const hash = createHash("sha256")
    .update(await readFile(lock))
    .digest("hex")
    .slice(0, 12);
  return installPackages(home, "moto", hash, ["--require-hashes", "--no-deps", "-r", lock]);
}

/** A running emulator. */
export interface Moto {
  /** Where it listens, on loopback. */
  readonly address: string;
  stop(): Promise<void>;
}

/** Starts one with nothing in it, on a free port of loopback. Throws with its log if it ends. */
export async function startMoto(home: string): Promise<Moto> {
  const [folder, python] = [await installMoto(home), await requirePython()];
  const child = spawn(python.path, ["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], {
    env: childEnvironment({ PYTHONPATH: folder, PYTHONUNBUFFERED: "1", MOTO_IAM_LOAD_MANAGED_POLICIES: "true" }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  };
  return { address: await addressOf(child), stop };
}

/** Werkzeug says where it listens. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (text: string): void => {
      said = `${said}${text}`.slice(-100_000);
      const [, address] = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(said) ?? [];
      if (address !== undefined) resolve(address);
    };
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", hear);
    child.once("exit", () => reject(new Error(`moto ended: ${said}`)));
  });
}
