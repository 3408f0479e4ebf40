import { cardOf } from "./estimates/cards.ts";
import type { FaultFacts } from "./fault.ts";
import type { Gpu } from "./gpus.ts";

/** What is known of an engine that runs in an environment of its own. */
export interface EngineFacts {
  /** The distribution that it is for, with its version. */
  readonly package: string;
  /** What the self-test imports beside LLaMA-Factory. */
  readonly module: string;
  /** Bytes that uv fetches; measured with Python 3.11 on Linux x86-64. */
  readonly downloadBytes: number;
  /** Bytes on disk; measured likewise. */
  readonly bytes: number;
  /** CUDA that its torch is built for. */
  readonly cuda: string;
  /** The NVIDIA driver that came with that CUDA (its release notes, table 3). */
  readonly ownDriver: number;
  /** The oldest that runs it, by CUDA's minor version compatibility (table 2). */
  readonly leastDriver: number;
  /** The least compute capability that it has code for. */
  readonly capability: number;
}

/** Engines with an environment of their own: what they pin can't be had beside the torch that trains. Each lock is agent/environment/engines/<name>.lock. */
export const engineFacts = {
  vllm: {
    package: "vllm 0.11.0",
    module: "vllm",
    downloadBytes: 5.06e9,
    bytes: 10.3e9,
    cuda: "12.8",
    ownDriver: 570,
    leastDriver: 525,
    capability: 7.0,
  },
} as const satisfies Readonly<Record<string, EngineFacts>>;

/** Name of an engine with an environment of its own. */
export type OwnEngine = keyof typeof engineFacts;

/** All of them. */
export const engineNames = Object.keys(engineFacts) as [OwnEngine, ...OwnEngine[]];

/** The engine of `serve.engine`, if it has an environment of its own. */
export function ownEngine(name: string): OwnEngine | undefined {
  return engineNames.find((own) => own === name);
}

/** What of an experiment says which engine starts. */
interface Served {
  readonly serve: { readonly enabled: boolean; readonly engine: string };
  readonly teardown?: { readonly when: string };
}

/** The engine that an experiment needs an environment of its own for, if it serves by one. */
export function engineOf({ serve, teardown }: Served): OwnEngine | undefined {
  return serve.enabled && teardown?.when !== "after-training" ? ownEngine(serve.engine) : undefined;
}

/** What is known of the machine that is to serve; undefined where nobody knows yet. */
export interface EngineHost {
  readonly device?: "cpu" | "cuda" | undefined;
  /** As Node calls them. */
  readonly platform?: string | undefined;
  readonly arch?: string | undefined;
  readonly gpus?: readonly Gpu[] | undefined;
}

const instead = "set `tuneup:serve.engine: huggingface`";

/** Why an engine can't run there, and what to do; undefined where nothing known is against it. */
export function engineTrouble(name: OwnEngine, host: EngineHost): FaultFacts | undefined {
  const { package: what, cuda, leastDriver, capability } = engineFacts[name];
  const fault = (code: string, message: string, next: string): FaultFacts => ({
    ...{ code, property: "serve.engine", message, next: `${next}, or ${instead}.` },
  });
  const { device, platform = "linux", arch = "x64", gpus } = host;
  if (platform !== "linux" || arch !== "x64") {
    const message = `${name}: the wheels of ${what} and its torch for CUDA are for Linux on x86-64; this host is ${platform} on ${arch}.`;
    return fault("engine-platform", message, "Serve on such a machine");
  }
  if (device === "cpu" || gpus?.length === 0) {
    const message = `${name} needs an NVIDIA GPU: the wheels of ${what} on PyPI have no build for the CPU, and this host serves without a GPU.`;
    return fault("engine-needs-cuda", message, "Serve on a machine with one (`tuneup:compute.device: cuda`)");
  }
  const [gpu] = gpus ?? [];
  if (gpu === undefined) return undefined;
  if (Number.parseInt(gpu.driver, 10) < leastDriver) {
    const message = `${name}: the NVIDIA driver ${gpu.driver} of ${gpu.name} is too old for the torch of ${what} (CUDA ${cuda}), which needs ${leastDriver} or newer.`;
    return fault("engine-driver-too-old", message, "Update the driver");
  }
  const own = cardOf(gpu.name, gpu.memoryBytes)?.capability;
  if (own === undefined || own >= capability) return undefined;
  const message = `${name}: ${gpu.name} has compute capability ${own.toFixed(1)}, and ${what} needs ${capability.toFixed(1)} or more.`;
  return fault("engine-card-too-old", message, "Take a newer card");
}
