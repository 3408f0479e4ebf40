import { registerHooks } from "node:module";

/**
 * What Pulumi's SDK loads to turn JavaScript functions into text, which no command does: TypeScript and npm's reader of
 * node_modules are two thirds of what the Automation API costs to load (0.4 CPU seconds and 55 MB in each command). Both are
 * looked at when a function is serialized, never at loading, so an empty module stands in for each.
 */
const unused = /\/node_modules\/(?:typescript\/lib\/typescript|@npmcli\/arborist\/lib\/index)\.js$/;

registerHooks({
  load: (url, context, next) =>
    unused.test(url) ? { format: "commonjs", source: "", shortCircuit: true } : next(url, context),
});
