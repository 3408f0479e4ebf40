import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Vendor NVIDIA, class display controller: a GPU with or without a driver. */
const [nvidia, display] = ["0x10de", "0x03"];

/** The PCI addresses of NVIDIA GPUs that the Linux kernel knows of, whatever their driver says. Empty elsewhere. `root`: of the file system. */
export async function nvidiaHardware(root = "/"): Promise<string[]> {
  const devices = join(root, "sys/bus/pci/devices");
  const said = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
  const found = new Set(await readdir(join(root, "proc/driver/nvidia/gpus")).catch(() => []));
  for (const address of await readdir(devices).catch(() => [])) {
    if (!(await said(join(devices, address, "vendor"))).startsWith(nvidia)) continue;
    if ((await said(join(devices, address, "class"))).startsWith(display)) found.add(address);
  }
  return [...found].sort();
}
