// `node scripts/run.mjs FILE.ts [WORDS]`: installs the npm packages where needed, then runs FILE.ts on a Node that can.
import { runTypeScript } from "./bootstrap.mjs";

const [file, ...words] = process.argv.slice(2);
await runTypeScript(file, words);
