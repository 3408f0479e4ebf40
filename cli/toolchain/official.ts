import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { allowedEnvironment } from "../../recipe/child-environment.ts";
import { Fault } from "../../recipe/fault.ts";
import { mirrorName } from "../../recipe/mirrors.ts";
import { reach } from "./reach.ts";
import { type InstallRoute, throwIfCancelled } from "./route.ts";
import { pulumiVersion } from "./versions.ts";

const source = "https://get.pulumi.com/install.sh";
const reachMs = 8000;
/** The archive has 130 MB: 10 minutes is 1.7 Mbit/s. */
const installMs = 600_000;

/** Pulumi's own installer, as the SDK runs it (PulumiCommand.install), with a bounded time. */
export const officialRoute: InstallRoute = {
  name: "The official installer",
  source: "official",
  async install(folder, { environment, report, signal }) {
    const mirrors = mirrorName(environment);
    if (mirrors !== undefined) {
      throw new Fault({
        code: "pulumi-mirrorless",
        message: `no mirror of Pulumi's downloads is known for TUNEUP_MIRRORS=${mirrors}.`,
      });
    }
    const [probe] = await reach([source], reachMs, environment);
    throwIfCancelled(signal);
    if (probe?.ok !== true) {
      throw new Fault({
        code: "pulumi-unreachable",
        message: `${source} can't be reached (${probe?.reason ?? "no answer"}).`,
      });
    }
    report.step(`Installing the Pulumi CLI ${pulumiVersion} with Pulumi's own installer (130 MB) ...`);
    const script = fileURLToPath(new URL("./install-official.mjs", import.meta.url));
    const child = spawn(process.execPath, [script, pulumiVersion, folder], {
      // A process group of its own: the SDK can't cancel the shell script and curl that it starts; killing the group does.
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      env: allowedEnvironment(environment, { NODE_USE_ENV_PROXY: "1" }),
    });
    const stop = () => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
    };
    const limit = setTimeout(stop, installMs);
    signal.addEventListener("abort", stop);
    try {
      const ended = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("exit", resolve));
      const [code, stderr] = await Promise.all([ended, text(child.stderr)]);
      throwIfCancelled(signal);
      if (code === 0) return;
      const reason =
        code === null ? `no end after ${installMs / 60_000} minutes` : (stderr.trim().split("\n").at(-1) ?? "");
      throw new Fault({ code: "pulumi-installer-failed", message: `Pulumi's installer failed: ${reason}` });
    } finally {
      clearTimeout(limit);
      signal.removeEventListener("abort", stop);
    }
  },
};
