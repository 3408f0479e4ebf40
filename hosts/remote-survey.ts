import { gpuTrouble, parseGpus } from "../recipe/gpus.ts";
import { hubEndpoint, mirrorVariables } from "../recipe/mirrors.ts";
import type { CommandInput, CommandOutput } from "../recipe/protocol.ts";
import { type Hello, valuesIn } from "./remote-bootstrap.ts";
import type { RemoteLink } from "./remote-link.ts";
import { type Hubs, surveyScript } from "./remote-scripts.ts";

/** The facts of a host by its own programs alone, in one round trip. `environment` is null: who has none of ours has none of it. */
export async function survey(
  link: Pick<RemoteLink, "script">,
  { data, machine }: Hello,
  { egress, port }: CommandInput<"preflight">,
): Promise<CommandOutput<"preflight">> {
  const asked = Date.now();
  const said = await link.script(surveyScript(data, egress === true ? hubs() : undefined, port?.port));
  const answered = Date.now();
  const value = valuesIn(said);
  const number = (name: string): number => Number(value[name] ?? 0) || 0;
  const lines = (name: string): string[] =>
    said.split("\n").flatMap((line) => (line.startsWith(`${name} `) ? [line.slice(name.length + 1)] : []));
  const reach = (name: string): boolean => value[`reach-${name}`] === "yes";
  const gpus = parseGpus(lines("gpu").join("\n"));
  const hardware = [...new Set(lines("gpu-hardware"))];
  const isFine = gpus.length > 0 || value["gpu-hidden"] === "yes";
  const trouble = isFine ? undefined : gpuTrouble(value["gpu-failure"], hardware);
  return {
    platform: "linux",
    arch: machine === "x86_64" ? "x64" : "arm64",
    cores: number("cores") || 1,
    memoryBytes: number("MemTotal") * 1024,
    memoryFreeBytes: number("MemAvailable") * 1024,
    diskFreeBytes: number("disk") * 1024,
    ...(value["unwritable"] === undefined ? {} : { unwritable: `no permission to write in ${value["unwritable"]}` }),
    python: pythonIn(lines("python")),
    gpus: gpus.map(({ name, memoryBytes, driver }) => ({ name, memoryBytes, driver })),
    ...(trouble === undefined ? {} : { driverTrouble: trouble }),
    ...(value["port"] === undefined ? {} : { port: value["port"] === "taken" ? "taken" : "free" }),
    environment: null,
    ...(egress === true
      ? { egress: { pypi: reach("pypi"), huggingface: reach("huggingface"), modelscope: reach("modelscope") } }
      : {}),
    libc: value["libc"] ?? "",
    // Half of the round trip is its way here.
    clockAheadSeconds: Math.round(number("clock") - (asked + answered) / 2000),
  };
}

/** The newest Python that LLaMA-Factory runs on; the list has the best first. */
function pythonIn(lines: readonly string[]): { path: string; version: string } | null {
  const found = lines.map((line) => /^(3\.1[123]\.\S+) (\S+)$/.exec(line)).find((match) => match !== null);
  return found === undefined ? null : { version: found[1] ?? "", path: found[2] ?? "" };
}

/** Where environment, weights and datasets come from, as our variables say. */
function hubs(): Hubs {
  const { UV_DEFAULT_INDEX: mirror } = mirrorVariables(process.env);
  return {
    pypi: process.env["UV_DEFAULT_INDEX"] ?? mirror ?? "https://pypi.org/simple/",
    huggingface: hubEndpoint("huggingface", process.env),
    modelscope: hubEndpoint("modelscope", process.env),
  };
}
