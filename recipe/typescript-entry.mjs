// Plain JavaScript: it must say a sentence on a Node that can't run TypeScript.
import { existsSync } from "node:fs";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Runs index.ts beside the module `main` (its import.meta.url), on this Node or on the project's own. For programs that Pulumi's engine
 * starts with whatever Node is on PATH.
 */
export async function runIndexBeside(main) {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const own = fileURLToPath(new URL("../node_modules/.bin/node", import.meta.url));
  if (major > 22 || (major === 22 && minor >= 18)) {
    await import(new URL("index.ts", main).href);
  } else if (existsSync(own)) {
    const child = spawn(own, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: "inherit" });
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
    child.on("exit", (code) => process.exit(code ?? 1));
  } else {
    console.error(
      `tuneup needs Node 22.18 or newer, this is ${process.versions.node}. Run \`npm ci\`, which brings one.`,
    );
    process.exit(1);
  }
}
