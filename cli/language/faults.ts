import type { CheckFinding } from "../../recipe/check-report.ts";
import type { Fault } from "../../recipe/fault.ts";
import type { Language } from "./locale.ts";
import texts from "./faults.zh.json" with { type: "json" };

/** By fault code: what it means and what to do, in Chinese. */
export const faultsInChinese: Readonly<Record<string, string>> = texts;

/**
 * A fault for the user. Its exact sentence, with names and figures, is English as the lower layers made it; to a Chinese user
 * a line of their own language says before it what it means.
 */
export function faultText(fault: Pick<Fault, "code" | "sentence">, language: Language): string {
  const line = language === "zh" ? faultsInChinese[fault.code] : undefined;
  return line === undefined ? fault.sentence : `${line}\n${fault.sentence}`;
}

/**
 * The line of a check's finding in the user's language; undefined where its own sentence is in that language already. What is right
 * is told whole where the finding has its figures by name; what is wrong as every fault is.
 */
export function findingLine(
  { code = "", level, values = {} }: Pick<CheckFinding, "code" | "level" | "values">,
  language: Language,
): string | undefined {
  const line = language === "zh" ? faultsInChinese[code] : undefined;
  if (level !== "ok") return line;
  return line?.replaceAll(/\{\{(\w+)\}\}/g, (place, name: string) => String(values[name] ?? place));
}
