import { Fault } from "../../recipe/fault.ts";

/** Languages that the commands speak. */
export const languages = ["en", "zh"] as const;
export type Language = (typeof languages)[number];

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * The language of the commands: TUNEUP_LANGUAGE, else the locale, of which LC_ALL comes before LC_MESSAGES and that before LANG,
 * as in POSIX: an empty one counts as unset. Any Chinese locale is Chinese, every other one English.
 */
export function languageOf(variables: Variables): Language {
  const chosen = languages.find((language) => language === variables["TUNEUP_LANGUAGE"]);
  if (chosen !== undefined) return chosen;
  const locale = variables["LC_ALL"] || variables["LC_MESSAGES"] || variables["LANG"] || "";
  return /^zh([_.@-]|$)/i.test(locale) ? "zh" : "en";
}

/** Throws Fault where TUNEUP_LANGUAGE is set to what is no language of ours. */
export function requireLanguage(variables: Variables): void {
  const given = variables["TUNEUP_LANGUAGE"];
  if (given === undefined || given === "" || languages.some((language) => language === given)) return;
  throw new Fault({
    code: "language-unknown",
    property: "TUNEUP_LANGUAGE",
    message: `must be one of ${languages.join(", ")}, got ${JSON.stringify(given)}.`,
    next: "Unset it, and the language follows LC_ALL, LC_MESSAGES and LANG.",
  });
}
