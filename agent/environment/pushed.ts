import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { Fault } from "../../recipe/fault.ts";
import type { Layout } from "../../recipe/layout.ts";
import { pushedRoute, type TorchRoute } from "./route.ts";

/** The folder, if it is one of the data directory's for packages that were pushed. Throws Fault `path-outside`. */
export function requireInWheels(folder: string, { wheels }: Layout): string {
  if (dirname(folder) === wheels && !folder.endsWith("/..")) return folder;
  throw new Fault({ code: "path-outside", message: `${folder} is not in ${wheels}.`, blame: "bug" });
}

/** Which torch the pushed packages are: a build of PyTorch's where they have a lock of their own for it, else PyPI's. Throws Fault `file-missing`. */
export function routeOf(folder: string, device: "cpu" | "cuda"): TorchRoute {
  if (existsSync(folder)) return pushedRoute(device, existsSync(join(folder, "torch.lock")));
  throw new Fault({
    code: "file-missing",
    message: `${folder} is not there any more: the packages of the environment were pushed to it.`,
    next: "Run `npx tuneup up` again: they are sent again.",
    blame: "infrastructure",
  });
}

/** How uv is told to take nothing but what lies in the folder; what is there as source only is built from that as well. */
export function offlineWords(folder: string): string[] {
  return ["--offline", "--no-index", "--find-links", folder];
}

/** uv's cache beside the packages: it goes with them, and is on the disk of the environment, whose files are links to it. */
export function offlineVariables(folder: string): Record<string, string> {
  return { UV_CACHE_DIR: join(folder, ".cache") };
}
