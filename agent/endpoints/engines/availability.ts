import { readdir, stat } from "node:fs/promises";
import { Fault } from "../../../recipe/fault.ts";
import type { EndpointSpec } from "../../../recipe/protocol.ts";
import type { EngineKind } from "./engine-kind.ts";
import { huggingface } from "./huggingface.ts";
import { sglang } from "./sglang.ts";
import { vllm } from "./vllm.ts";

/** Every engine that `serve.engine` may name. */
export const engineKinds: Readonly<Record<EndpointSpec["engine"], EngineKind>> = { huggingface, vllm, sglang };

/**
 * The fault of an engine that this environment can't run; undefined if it can. Looks for the package's folder alone,
 * so it takes milliseconds. Without `environment` (not made yet): what the locked environment has.
 */
export async function engineFault(engine: EndpointSpec["engine"], environment?: string): Promise<Fault | undefined> {
  const kind = engineKinds[engine];
  const there = environment === undefined ? engine === "huggingface" : await hasPackage(environment, kind.needs);
  if (there) return undefined;
  if (engine === "huggingface") {
    return new Fault({
      code: "engine-unavailable",
      property: "serve.engine",
      message: `huggingface needs LLaMA-Factory, which ${environment ?? "the environment"} lacks.`,
      next: "Run `npx tuneup up` again: it repairs the environment.",
    });
  }
  return new Fault({
    code: "engine-unavailable",
    property: "serve.engine",
    message: `"${engine}" is not installed in the environment of this host.`,
    next: "Set serve.engine to huggingface, which is part of it.",
  });
}

async function hasPackage(environment: string, name: string): Promise<boolean> {
  try {
    const versions = (await readdir(`${environment}/lib`)).filter((entry) => entry.startsWith("python3"));
    const found = await Promise.all(versions.map((version) => isFile(environment, version, name)));
    return found.includes(true);
  } catch {
    return false;
  }
}

async function isFile(environment: string, version: string, name: string): Promise<boolean> {
  try {
    return (await stat(`${environment}/lib/${version}/site-packages/${name}/__init__.py`)).isFile();
  } catch {
    return false;
  }
}
