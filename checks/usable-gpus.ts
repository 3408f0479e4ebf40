import { leastDriver } from "../agent/environment/route.ts";
import { cardOf } from "../recipe/estimates/cards.ts";
import type { FaultFacts } from "../recipe/fault.ts";
import type { CommandOutput } from "../recipe/protocol.ts";

/** What a host told of its GPUs. */
export type GpuFacts = Pick<CommandOutput<"preflight">, "gpus" | "driverTrouble" | "environment">;

/** Below it no build of the locked torch runs: CUDA 12's minor version compatibility begins here (CUDA 12 release notes, table 2). */
const oldestDriver = 525;

/** What torch's build of CUDA 13 has code for: Turing and later (CUDA 13.0 release notes). */
const leastCapability = 7.5;

/**
 * Why torch could not use the GPU that is to train: known before anything is fetched, for one that it can't use is never left aside in
 * silence. Undefined where it can, as far as is known: the environment's own test on the GPU decides.
 */
export function unusableGpu(device: "auto" | "cpu" | "cuda", facts: GpuFacts): FaultFacts | undefined {
  const { gpus, driverTrouble, environment } = facts;
  if (device === "cpu") return undefined;
  // Its test on this GPU passed.
  if (environment?.device === "cuda" && gpus.length > 0) return undefined;
  const property = "compute.device";
  const onCpu = "or set `tuneup:compute.device` to cpu to train without the GPU";
  if (driverTrouble !== undefined) {
    const message = `The NVIDIA driver of the host does not work: ${driverTrouble}.`;
    const next = `Install or repair the driver (after an update of the kernel or of the driver: reboot), ${onCpu}.`;
    return { code: "cuda-unusable", property, message, next };
  }
  const [gpu] = gpus;
  if (gpu === undefined) {
    if (device === "auto") return undefined;
    const message = "is cuda, and nvidia-smi lists no GPU on the host.";
    return { code: "device-missing", property, message, next: `Install the NVIDIA driver, ${onCpu}.` };
  }
  const driver = Number.parseInt(gpu.driver, 10);
  if (driver < oldestDriver) {
    const message = `The NVIDIA driver ${gpu.driver} of ${gpu.name} is too old for the locked torch, which needs ${oldestDriver} or newer.`;
    return { code: "driver-too-old", property, message, next: `Update the driver, ${onCpu}.` };
  }
  const capability = cardOf(gpu.name, gpu.memoryBytes)?.capability;
  if (capability === undefined || capability >= leastCapability || driver < leastDriver) return undefined;
  const message =
    `${gpu.name} has compute capability ${capability.toFixed(1)}, and torch's build for driver ${gpu.driver} ` +
    `has code for ${leastCapability.toFixed(1)} and later.`;
  return { code: "cuda-unusable", property, message, next: `Take a newer card, ${onCpu}.` };
}
