import type { CheckFinding } from "../../recipe/check-report.ts";
import { findingLine } from "./faults.ts";
import type { Language } from "./locale.ts";
import { inChinese } from "./phrases.ts";

/** A finding as it is told: its lines, what to do, and where the figure comes from. */
export interface FindingTexts {
  readonly lines: readonly string[];
  readonly next?: string | undefined;
  readonly basis?: string | undefined;
}

/** A check's finding in the user's language. What has no translation (names, an error's exact words) stays as it is. */
export function findingTexts(finding: CheckFinding, language: Language): FindingTexts {
  const { level, property, message, basis, next } = finding;
  const key = level === "ok" || property === undefined ? "" : `tuneup:${property}: `;
  if (language === "en") return { lines: [`${key}${message}`], next, basis };
  const line = findingLine(finding, language);
  const told = (text: string | undefined) => (text === undefined ? undefined : (inChinese(text) ?? text));
  // With its figures the line says all; without them it comes before the exact sentence.
  if (level === "ok" && line !== undefined && finding.values !== undefined)
    return { lines: [line], basis: told(basis) };
  const exact = `${key}${told(message) ?? ""}`;
  return { lines: line === undefined ? [exact] : [line, exact], next: told(next), basis: told(basis) };
}
