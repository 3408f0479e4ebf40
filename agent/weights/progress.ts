import type { Context } from "../context.ts";
import { bytesBelow } from "../files.ts";
import { formatBytes } from "../folders.ts";

/** Tells twice a second how much of `total` bytes lies in `folder`, with the time left by the rate since now. Returns the stop. */
export async function reportFolder(folder: string, total: number, what: string, context: Context): Promise<() => void> {
  const before = await bytesBelow(folder);
  const started = Date.now();
  let busy = false;
  const tell = async () => {
    const bytes = Math.min(total, await bytesBelow(folder));
    const rate = ((bytes - before) / (Date.now() - started)) * 1000;
    context.progress({
      message: `${what}: ${formatBytes(bytes)} of ${formatBytes(total)}${rate > 0 ? `, ${formatBytes(rate)}/s` : ""}`,
      fraction: total > 0 ? bytes / total : 0,
      ...(rate > 0 ? { secondsLeft: (total - bytes) / rate } : {}),
    });
  };
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    // A folder that is renamed under us is the end of the work, not a fault.
    void tell()
      .catch(() => undefined)
      .finally(() => (busy = false));
  }, 500);
  return () => clearInterval(timer);
}
