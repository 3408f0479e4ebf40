import type { Layout } from "../../recipe/layout.ts";
import { isLocked, withLock } from "../lock.ts";
import { revive, type StartSupervisor } from "./declare.ts";
import { fenceOff } from "./fence.ts";
import { signOfLife } from "./heartbeat.ts";
import { runPaths } from "./paths.ts";

/**
 * Starts another supervisor in place of one that lives and does nothing. `sign` is what did not change for so long: whoever finds
 * another by then was too late. Returns whether it took over.
 */
export async function takeOver(
  layout: Layout,
  run: string,
  sign: string,
  start: StartSupervisor,
  signal: AbortSignal,
): Promise<boolean> {
  const paths = runPaths(layout, run);
  const work = async (): Promise<boolean> => {
    if ((await signOfLife(paths)) !== sign || !isLocked(paths.lock)) return false;
    await fenceOff(paths);
    await revive(layout, paths, start, "attached", "its supervisor gave no sign of life: another one takes over");
    return true;
  };
  return withLock(`${layout.locks}/declare-${run}`, work, { signal });
}
