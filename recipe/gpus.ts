/** One NVIDIA GPU that we may use. */
export interface Gpu {
  readonly name: string;
  readonly memoryBytes: number;
  readonly driver: string;
}

/** One as nvidia-smi lists it. */
export interface ListedGpu extends Gpu {
  readonly index: string;
  readonly uuid: string;
}

/** Reads what nvidia-smi printed; memory is in MiB there. */
export function parseGpus(text: string): ListedGpu[] {
  return text
    .split("\n")
    .map((line) => line.split(",").map((field) => field.trim()))
    .flatMap(([index = "", uuid = "", name, memory, driver]) =>
      name === undefined || driver === undefined
        ? []
        : [{ index, uuid, name, memoryBytes: (Number(memory) || 0) * 2 ** 20, driver }],
    );
}

/**
 * Why a machine's GPUs can't be used where nvidia-smi lists none, in words that follow a colon; undefined where there is none to use.
 * `failure`: what nvidia-smi said when it failed; `hardware`: PCI addresses of the GPUs that the kernel knows of.
 */
export function gpuTrouble(failure: string | undefined, hardware: readonly string[]): string | undefined {
  if (failure !== undefined && !/no devices were found/i.test(failure))
    return `nvidia-smi says ${JSON.stringify(failure)}`;
  if (hardware.length === 0) return undefined;
  const where = `there is an NVIDIA GPU at PCI address ${hardware.join(", ")}`;
  return failure === undefined
    ? `${where}, and nvidia-smi is missing or lists none`
    : `${where}, and nvidia-smi says ${JSON.stringify(failure)}`;
}

/** Like CUDA: the listed indices or UUID prefixes, up to the first that does not exist; unset means all. */
export function visibleGpus(gpus: readonly ListedGpu[], visible: string | undefined): Gpu[] {
  const chosen: ListedGpu[] = [];
  if (visible === undefined) chosen.push(...gpus);
  else {
    for (const word of visible.split(",").map((part) => part.trim())) {
      const gpu = gpus.find(({ index, uuid }) => index === word || (word !== "" && uuid.startsWith(word)));
      if (gpu === undefined) break;
      chosen.push(gpu);
    }
  }
  return chosen.map(({ name, memoryBytes, driver }) => ({ name, memoryBytes, driver }));
}
