import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Report } from "../../cli/toolchain/report.ts";
import { Fault } from "../../recipe/fault.ts";

/** Of Debian or Ubuntu: what a node needs beside Kubernetes, and the libraries of that. */
export const packages = [
  ...["containerd", "runc", "containernetworking-plugins", "iptables", "nftables", "busybox-static"],
  ...["libseccomp2", "libxtables12", "libnftnl11", "libmnl0", "libnftables1", "libedit2", "libbsd0", "libmd0"],
  ...["libjansson4", "libgmp10"],
];

/** The system that the packages are of: another one has others. */
export const systemRelease = () => readFile("/etc/os-release", "utf8").catch(() => "");

/** Unpacks the packages below `root`. Nothing is installed and no service starts. */
export async function unpackPackages(root: string, report: Report): Promise<void> {
  report.step(`Fetching ${packages.length} system packages for the cluster of the tests (40 MB, once) ...`);
  const folder = join(root, "packages");
  await mkdir(folder, { recursive: true });
  // A new machine has no package lists; stale ones name files that are gone.
  if (!(await download(folder))) {
    await execa("apt-get", ["update", "--quiet"], { reject: false });
    if (!(await download(folder)))
      throw new Fault({
        code: "packages-missing",
        message: `apt-get could not download ${packages.join(", ")}.`,
        next: "Try `apt-get download containerd`: it says why.",
        blame: "infrastructure",
      });
  }
  for (const file of await readdir(folder)) await execa("dpkg", ["-x", join(folder, file), root]);
  await rm(folder, { recursive: true });
}

async function download(folder: string): Promise<boolean> {
  // As root: the user that apt would change to may not enter our folder.
  const words = ["--quiet", "-o", "APT::Sandbox::User=root", "download", ...packages];
  return (await execa("apt-get", words, { cwd: folder, reject: false })).exitCode === 0;
}
