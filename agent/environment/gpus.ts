import { type Gpu, gpuTrouble, parseGpus, visibleGpus } from "../../recipe/gpus.ts";
import { askWhy } from "./ask.ts";
import { nvidiaHardware } from "./nvidia-hardware.ts";

/** The GPUs that are ours to use; where there are none, perhaps why. */
export interface FoundGpus {
  readonly gpus: readonly Gpu[];
  /** Why none is listed although there seems to be one, in words that follow a colon. Never where CUDA_VISIBLE_DEVICES hides all on purpose. */
  readonly trouble?: string;
}

/** Waking the GPUs of a large machine whose driver is not kept loaded takes several seconds. */
const patience = 30_000;

/**
 * The NVIDIA GPUs that `nvidia-smi` lists, less those that CUDA_VISIBLE_DEVICES hides. None without a driver, but a driver that fails or
 * does not answer within 30 s, and hardware that no driver lists, are told as trouble: they are no reason to train on the CPU.
 */
export async function findGpus(visible = process.env["CUDA_VISIBLE_DEVICES"]): Promise<FoundGpus> {
  if (visible === "" || visible === "-1") return { gpus: [] };
  const words = ["--query-gpu=index,uuid,name,memory.total,driver_version", "--format=csv,noheader,nounits"];
  const answer = await askWhy("nvidia-smi", words, patience);
  const listed = answer.said === undefined ? [] : parseGpus(answer.said);
  if (listed.length > 0) return { gpus: visibleGpus(listed, visible) };
  const trouble = gpuTrouble(answer.failure, await nvidiaHardware());
  return { gpus: [], ...(trouble === undefined ? {} : { trouble }) };
}
