import { existsSync } from "node:fs";
import { mkdir, open, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Furniture } from "../faults/ssh/namespace.ts";
import { showEnvironment } from "../faults/ssh/rig.ts";

/** A volume of EBS: a file that the machine's scripts format and look at, and beside it a folder for what is on it. Outlives every machine. */
export interface Disk {
  /** Folder of both; its device is the file `device` in it, what is on it the folder `files`. */
  readonly folder: string;
  readonly files: string;
  /** The shared Python environment on it, so that nothing is installed. */
  readonly environment: Furniture;
  /** Identity of the file system that is on the device; empty for a blank one. */
  identity(): Promise<string>;
}

/** All volumes of a cloud, by their ids. */
export interface Disks {
  /** Link to the files of the volume that was asked for last: a data directory, as this machine sees it. */
  readonly data: string;
  /** The disk of a volume, blank if it is asked for the first time. */
  of(volumeId: string): Promise<Disk>;
  remove(): Promise<void>;
}

const deviceBytes = 64 * 2 ** 20;

/** Keeps volumes below `folder`. What is in the environment's folder belongs to `uid`, as an earlier `up` would have left it. */
export function openDisks(folder: string, uid: number): Disks {
  const disks = new Map<string, Promise<Disk>>();
  const data = join(folder, "data");
  const make = async (volumeId: string): Promise<Disk> => {
    const own = join(folder, volumeId);
    const files = join(own, "files");
    await mkdir(files, { recursive: true, mode: 0o755 });
    const device = await open(join(own, "device"), "w");
    await device.truncate(deviceBytes);
    await device.close();
    const environment = await showEnvironment(files);
    await execa("chown", ["-Rh", `${uid}:${uid}`, join(files, "env")]);
    return { folder: own, files, environment, identity: () => identityOf(join(own, "device")) };
  };
  return {
    data,
    of: async (volumeId) => {
      const disk = disks.get(volumeId) ?? make(volumeId);
      disks.set(volumeId, disk);
      const { files } = await disk;
      await rm(data, { force: true });
      await symlink(files, data);
      return disk;
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function identityOf(device: string): Promise<string> {
  if (!existsSync(device)) return "";
  const { stdout } = await execa("blkid", ["-p", "-o", "value", "-s", "UUID", device], { reject: false });
  return stdout;
}
