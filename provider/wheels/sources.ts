import type { olderBuild } from "../../agent/environment/route.ts";
import { childEnvironment } from "../../agent/processes.ts";
import { torchMirror } from "../../recipe/mirrors.ts";

/** Which torch: PyPI's, as torch.lock has it, or one of PyTorch's own builds. */
export type TorchBuild = "pypi" | "cpu" | typeof olderBuild;

/** Where this machine fetches packages for a host. Addresses end with a slash. */
export interface PackageSources {
  /** The simple index: PyPI, or what the variables of uv, of pip or TUNEUP_MIRRORS name. */
  readonly index: string;
  /** Folder of PyTorch's builds, one folder below it for each. */
  readonly torch: string;
  /** Is such a folder one page of all wheels (a mirror's), not an index with a page for each package (PyTorch's own)? */
  readonly isFlat: boolean;
  /** Milliseconds before a second try, doubled for each further one. Default: 1000; tests shorten it. */
  readonly pauseMs?: number;
}

/** As this machine's variables say. */
export function packageSources(variables: Readonly<Record<string, string>> = childEnvironment()): PackageSources {
  const said = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"].map((name) => variables[name]);
  const mirror = torchMirror(variables);
  return {
    index: withSlash(said.find((index) => (index ?? "") !== "") ?? "https://pypi.org/simple"),
    torch: withSlash(mirror ?? "https://download.pytorch.org/whl"),
    isFlat: mirror !== undefined,
  };
}

/** The pages that may name files of a package, the nearest first. */
export function pagesOf(name: string, build: TorchBuild, { index, torch, isFlat }: PackageSources): string[] {
  const own = `${index}${name}/`;
  if (build === "pypi") return [own];
  return [isFlat ? `${torch}${build}/` : `${torch}${build}/${name}/`, own];
}

function withSlash(address: string): string {
  return address.endsWith("/") ? address : `${address}/`;
}
