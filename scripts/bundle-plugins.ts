import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import type { Plugin } from "esbuild";

/** Puts a module that holds the texts in the place of agent/assets.ts. */
export function carryAssets(root: string, texts: Readonly<Record<string, string>>): Plugin {
  const packed = brotliCompressSync(JSON.stringify(texts), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 },
  }).toString("base64");
  const contents = `
    import { brotliDecompressSync } from "node:zlib";
    let texts;
    export function asset(path) {
      texts ??= JSON.parse(brotliDecompressSync(Buffer.from(${JSON.stringify(packed)}, "base64")).toString("utf8"));
      const text = texts[path];
      if (text === undefined) throw new Error("The agent carries no " + path + ".");
      return text;
    }`;
  const module = resolve(root, "agent/assets.ts");
  return {
    name: "carry-assets",
    setup(build) {
      build.onLoad({ filter: /[\\/]agent[\\/]assets\.ts$/ }, ({ path }) =>
        path === module ? { contents, loader: "js", watchFiles: [path] } : undefined,
      );
    },
  };
}

/** Leaves out zod's messages in 50 other languages (300 kB): what the agent says is English. */
export const englishOnly: Plugin = {
  name: "english-only",
  setup(build) {
    build.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, ({ path }) => ({
      contents: 'export { default as en } from "./en.js";',
      resolveDir: dirname(path),
    }));
  },
};

/** `z` as a namespace import: of zod's own `z` object nothing can be left out of the bundle (200 kB). */
export const zodByParts: Plugin = {
  name: "zod-by-parts",
  setup(build) {
    build.onLoad({ filter: /[\\/](recipe|agent)[\\/].*\.ts$/, namespace: "file" }, async ({ path }) => ({
      contents: (await readFile(path, "utf8")).replace(/^import \{ z \} from "zod";/m, 'import * as z from "zod";'),
      loader: "ts",
    }));
  },
};
