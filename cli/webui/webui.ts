import { cp, mkdir, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { execa } from "execa";
import { stringify } from "yaml";
import { z } from "zod";
import type { Host } from "../../hosts/host.ts";
import { allowedEnvironment } from "../../recipe/child-environment.ts";
import { Fault } from "../../recipe/fault.ts";
import type { CommandOutput } from "../../recipe/protocol.ts";
import { languageOf } from "../language/locale.ts";
import { say } from "../language/say.ts";
import { interruptSignal } from "../interrupt.ts";
import { hostOf, hostSpecFor } from "../project.ts";
import { terminalReport } from "../toolchain/report.ts";
import { boardConfig, boardUser } from "./board.ts";
import { webuiPackages } from "./packages.ts";

/** The first port that gradio takes. */
const usualPort = 7860;
const portsTried = 20;

type Run = NonNullable<CommandOutput<"run-read">>;

/** Runs LlamaBoard on loopback until it is ended, with the data and the model of the experiment's newest run. */
export async function webui(experiment: string, askedPort: string | undefined): Promise<void> {
  requirePort(askedPort);
  await requireHere(experiment);
  const host = await hostOf(experiment);
  const run = await newestRun(host, experiment);
  const report = terminalReport();
  const signal = interruptSignal();
  const packages = await webuiPackages(host.dataDirectory, run.spec.environment, {
    progress: ({ message }) => report.progress(message),
    log: (_level, message) => report.step(message),
    data: () => undefined,
    signal,
  });
  const folder = `${host.dataDirectory}/webui/experiments/${experiment}`;
  const config = await prepareFolder(folder, experiment, run);
  const port = await choosePort(askedPort);
  process.stdout.write(`${say("webui.open", { url: `http://127.0.0.1:${port}` })}\n${say("webui.load", { config })}\n`);
  const environment = run.spec.environment;
  const { failed, exitCode, isTerminated } = await execa(`${environment}/bin/llamafactory-cli`, ["webui"], {
    cwd: folder,
    env: boardEnvironment({ environment, packages, port, device: run.spec.device }),
    extendEnv: false,
    stdio: "inherit",
    reject: false,
  });
  // Ctrl-C reaches it by the terminal; that is how it is meant to end.
  if (!failed || isTerminated || exitCode === 130) return;
  throw new Fault({
    code: "webui-failed",
    message: `LlamaBoard ended with code ${String(exitCode)}; what it said is above.`,
    blame: "infrastructure",
  });
}

/** LlamaBoard trains and chats by itself, in a browser of the machine that it runs on: nobody would supervise that over ssh. */
async function requireHere(experiment: string): Promise<void> {
  const spec = await hostSpecFor(experiment);
  if (spec.kind !== "ssh") return;
  throw new Fault({
    code: "webui-remote",
    message: `LlamaBoard is opened for experiments on this machine alone, and ${experiment} is on ${spec.address}.`,
    next: `\`npx tuneup open ${experiment}\` opens its own page; \`npx tuneup fetch ${experiment}\` brings its adapter here.`,
  });
}

async function newestRun(host: Host, experiment: string): Promise<Run> {
  const [newest] = await host.run("run-list", { experiment });
  const run = newest === undefined ? null : await host.run("run-read", { run: newest.run });
  if (run !== null) return run;
  throw new Fault({
    code: "webui-no-run",
    message: `${experiment} has no run yet, so its model and its data are not on this machine.`,
    next: `\`npx tuneup up ${experiment}\` brings them; LlamaBoard can be opened as soon as training has begun.`,
  });
}

/** LlamaBoard keeps all that it knows in its working folder: data/, saves/, llamaboard_cache/ and llamaboard_config/. */
export async function prepareFolder(folder: string, experiment: string, { spec, manifest }: Run): Promise<string> {
  const { model_name_or_path: weights, dataset_dir: datasets, finetuning_type: method } = spec.arguments;
  for (const part of ["llamaboard_cache", "llamaboard_config"]) {
    await mkdir(`${folder}/${part}`, { recursive: true, mode: 0o700 });
  }
  await rm(`${folder}/data`, { force: true });
  await symlink(String(datasets), `${folder}/data`);
  const config = `${experiment}.yaml`;
  await writeFile(`${folder}/llamaboard_config/${config}`, stringify(boardConfig(spec)));
  const user = boardUser(String(weights), languageOf(process.env));
  await writeFile(`${folder}/llamaboard_cache/user_config.yaml`, stringify(user));
  if (manifest?.artifact === "adapter") {
    // A copy: LlamaBoard can train on in a folder of saves/, and a finished run never changes.
    const output = outputOf(spec);
    const target = `${folder}/saves/Custom/${String(method)}/${spec.run}`;
    await rm(target, { recursive: true, force: true });
    for (const name of await readdir(output)) {
      if ((await stat(`${output}/${name}`)).isFile()) await cp(`${output}/${name}`, `${target}/${name}`);
    }
  }
  return config;
}

function outputOf(spec: Run["spec"]): string {
  return z.string().parse(spec.arguments["output_dir"]);
}

/** Where LlamaBoard runs, on which port, with what. */
interface BoardPlace {
  readonly environment: string;
  /** Folder of gradio. */
  readonly packages: string;
  readonly port: number;
  readonly device: "cpu" | "cuda";
}

/** What LlamaBoard's process gets: loopback, nothing sent, and its trainings find their command in this environment. */
export function boardEnvironment({ environment, packages, port, device }: BoardPlace): Record<string, string> {
  return allowedEnvironment(process.env, {
    PATH: `${environment}/bin:${process.env["PATH"] ?? ""}`,
    PYTHONPATH: packages,
    PYTHONNOUSERSITE: "1",
    PYTHONUTF8: "1",
    GRADIO_SERVER_NAME: "127.0.0.1",
    GRADIO_SERVER_PORT: String(port),
    GRADIO_ANALYTICS_ENABLED: "False",
    HF_HUB_DISABLE_TELEMETRY: "1",
    DO_NOT_TRACK: "1",
    // It opens a browser on its machine, which a notebook has none of; the address is printed.
    BROWSER: "true",
    ...(device === "cpu" ? { CUDA_VISIBLE_DEVICES: "" } : {}),
  });
}

/** The port that was asked for, or the first free one from gradio's own on. Throws Fault where it is taken. */
/** Said before packages are fetched. */
function requirePort(asked: string | undefined): void {
  if (asked !== undefined && !(/^\d+$/.test(asked) && Number(asked) > 0 && Number(asked) < 65536)) {
    const message = `must be a whole number from 1 to 65535, got ${JSON.stringify(asked)}.`;
    throw new Fault({ code: "option-value", property: "--port", message });
  }
}

async function choosePort(asked: string | undefined): Promise<number> {
  const from = asked === undefined ? usualPort : Number(asked);
  for (let port = from; port < from + (asked === undefined ? portsTried : 1); port += 1) {
    if (await isFree(port)) return port;
  }
  throw new Fault({
    code: "port-taken",
    property: "--port",
    message: `127.0.0.1:${from} is taken by another program.`,
    next: "Name another with --port.",
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
