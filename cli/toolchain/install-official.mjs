// `node install-official.mjs VERSION FOLDER`: a process of its own, so that it can be ended with all that it starts.
import { PulumiCommand } from "@pulumi/pulumi/automation/index.js";

const [version, root] = process.argv.slice(2);
try {
  // The check would want a SemVer, of a package that is not ours to import; the installer only prints it.
  await PulumiCommand.install({ version, root, skipVersionCheck: true });
} catch (error) {
  console.error(String(error.message).trim().split("\n").at(-1));
  process.exitCode = 1;
}
