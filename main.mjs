// Plain JavaScript: it must say a sentence on a Node that can't run TypeScript.
import { createRequire } from "node:module";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  const { RunError } = createRequire(import.meta.url)("@pulumi/pulumi");
  throw new RunError(
    `tuneup needs Node 22.18 or newer, this is ${process.versions.node}. ` +
      "Run `npm ci`, then `eval $(npx tuneup env)`, which puts the Node that it brought first on PATH.",
  );
}
// The SDK maps each stack by source maps, also those that nobody sees: 0.4 s of every preview. Our lines are those of the files.
Error.prepareStackTrace = undefined;
// An experiment that serves nothing or waits for nothing has no such outputs; undefined ones would be warned of.
export default async () => {
  const outputs = Object.entries(await import("./index.ts"));
  return Object.fromEntries(outputs.filter(([, value]) => value !== undefined));
};
