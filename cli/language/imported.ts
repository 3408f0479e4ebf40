import type { ImportNote, ImportQuestion } from "../../recipe/import/world.ts";
import { type Language, languageOf } from "./locale.ts";
import owned from "./owned.zh.json" with { type: "json" };
import { sayIn } from "./say.ts";

/** By argument: why tuneup sets it itself, in Chinese. */
export const ownedInChinese: Readonly<Record<string, string>> = owned;

/** One line that import says about what it did. Default: in the user's language. */
export function noteText({ code, values }: ImportNote, language: Language = languageOf(process.env)): string {
  const reason = language === "zh" ? ownedInChinese[values["name"] ?? ""] : undefined;
  return sayIn(language)(`import.note.${code}`, reason === undefined ? values : { ...values, reason });
}

/** What import asks a person. Default: in the user's language. */
export function questionText(
  { asks, values }: Pick<ImportQuestion, "asks" | "values">,
  language: Language = languageOf(process.env),
): string {
  return sayIn(language)(`import.ask.${asks}`, values);
}
