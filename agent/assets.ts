import { readFileSync } from "node:fs";

/** The pages are there only once they are built. */
const built: readonly string[] = ["web/index.html", "web/app.js", "web/app.css"];

/**
 * Text files that travel with the agent: `agent/python/*.py`, `agent/environment/*.lock` and the built pages. From
 * source they are read from the tree (the pages from dist/web/, after `npm run build`); scripts/build.ts replaces this
 * module by one that carries their text, so that the agent is one file.
 */
export function asset(path: string): string {
  return readFileSync(new URL(`../${built.includes(path) ? "dist/" : ""}${path}`, import.meta.url), "utf8");
}
