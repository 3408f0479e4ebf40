import type { CommandOutput } from "./protocol.ts";

/** What lies in the data directory, a line each with its size, the largest first. */
export function usageLines(usage: CommandOutput<"usage">, dataDirectory: string): string {
  return [...usage]
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ what, path, bytes }) => `  ${sizeOf(bytes).padStart(8)}  ${what}  ${path.replace(`${dataDirectory}/`, "")}`)
    .join("\n");
}

/** A size for people, decimal units. */
export function sizeOf(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return `${(bytes / 1000 ** power).toFixed(power > 1 ? 1 : 0)} ${units[power] ?? "B"}`;
}

/** All of it in one sentence: what is kept, where, and how much it holds. */
export function keptSentence(usage: CommandOutput<"usage">, dataDirectory: string): string {
  const bytes = usage.reduce((sum, part) => sum + part.bytes, 0);
  const parts = [...usage].sort((a, b) => b.bytes - a.bytes).map((part) => `${part.what} ${sizeOf(part.bytes)}`);
  return `The data stays in ${dataDirectory}, ${sizeOf(bytes)}: ${parts.join(", ")}. \`npx tuneup down --purge\` deletes an experiment's part.`;
}
