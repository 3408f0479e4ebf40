import { type Gpu, parseGpus, visibleGpus } from "../../recipe/gpus.ts";
import { ask, askWhy } from "./ask.ts";

/**
 * Why the NVIDIA driver of this machine does not work, in its own words: nvidia-smi is there and fails, as after an update of the kernel.
 * Undefined where it works, where there is none, where it knows of no GPU, and where CUDA_VISIBLE_DEVICES hides all on purpose.
 */
export async function driverTrouble(visible = process.env["CUDA_VISIBLE_DEVICES"]): Promise<string | undefined> {
  if (visible === "" || visible === "-1") return undefined;
  const said = await askWhy("nvidia-smi", ["--list-gpus"]);
  return said === undefined || /no devices were found/i.test(said) ? undefined : said;
}

/**
 * The NVIDIA GPUs that `nvidia-smi` lists, less those that CUDA_VISIBLE_DEVICES hides. Empty without a driver.
 * A driver that doesn't answer within 10 s counts as none.
 */
export async function findGpus(visible = process.env["CUDA_VISIBLE_DEVICES"]): Promise<Gpu[]> {
  const answer = await ask("nvidia-smi", [
    "--query-gpu=index,uuid,name,memory.total,driver_version",
    "--format=csv,noheader,nounits",
  ]);
  return answer === undefined ? [] : visibleGpus(parseGpus(answer), visible);
}
