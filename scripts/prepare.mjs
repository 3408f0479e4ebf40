// npm runs this at the end of `npm ci`, and `npx tuneup` also where nothing is installed yet: then there is nothing to
// build with, and the command installs first by itself. It never installs: the npm that runs it holds the lock for that.
import { existsSync } from "node:fs";
import { runTypeScript } from "./bootstrap.mjs";

if (existsSync(new URL("../node_modules/esbuild", import.meta.url))) {
  await runTypeScript("scripts/build.ts", [], { install: false });
}
