// Plain JavaScript: it must say a sentence on a Node that can't run TypeScript.
import { runIndexBeside } from "../recipe/typescript-entry.mjs";

await runIndexBeside(import.meta.url);
