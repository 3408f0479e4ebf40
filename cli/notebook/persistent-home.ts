import { homeOf } from "../../recipe/home.ts";

/** Where notebooks mount the disk that outlives an instance: ModelScope's, RunPod's, AutoDL's. */
export const knownMounts = ["/mnt/workspace", "/workspace", "/root/autodl-tmp"] as const;

/** Name of our data directory on such a disk. */
const folder = "tuneup";

/** What one of them is on this machine. */
export interface Mount {
  readonly path: string;
  /** Is it a disk of its own, not a folder of the instance's? */
  readonly separate: boolean;
  readonly writable: boolean;
  /** Is a data directory of ours on it? */
  readonly ours: boolean;
}

/** What the decision is made from. */
export interface Places {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Is there a data directory in the usual place? */
  readonly usualExists: boolean;
  /** The known mounts that are there. */
  readonly mounts: readonly Mount[];
}

/**
 * Where the data directory is, or could be. `usual`: as `homeOf` says. `found`: on a disk that outlived the instance on which
 * it was begun. `proposal`: there is none yet, and such a disk is there.
 */
export type HomeDecision =
  | { readonly kind: "usual" }
  | { readonly kind: "found"; readonly home: string }
  | { readonly kind: "proposal"; readonly home: string; readonly mount: string };

/** Decides from facts alone. TUNEUP_HOME always wins; what is in the usual place already stays where it is. */
export function decideHome({ environment, usualExists, mounts }: Places): HomeDecision {
  if (environment["TUNEUP_HOME"] || usualExists) return { kind: "usual" };
  const ours = mounts.find(({ ours: has, writable }) => has && writable);
  if (ours !== undefined) return { kind: "found", home: `${ours.path}/${folder}` };
  // A home that is on that disk already needs no other place on it.
  const usual = homeOf(environment);
  const mount = mounts.find(({ separate, writable, path }) => separate && writable && !usual.startsWith(`${path}/`));
  if (mount === undefined) return { kind: "usual" };
  return { kind: "proposal", home: `${mount.path}/${folder}`, mount: mount.path };
}
