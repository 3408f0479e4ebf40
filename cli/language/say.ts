import { createInstance, type TFunction } from "i18next";
import { type Language, languageOf } from "./locale.ts";
import en from "./en.json" with { type: "json" };
import zh from "./zh.json" with { type: "json" };

/** Name of a text in the dictionaries. */
export type TextKey = keyof typeof en;

/** A text in one language, its `{{placeholders}}` filled. */
export type Say = (key: TextKey, values?: Readonly<Record<string, string | number>>) => string;

const dictionaries = createInstance({
  resources: { en: { translation: en }, zh: { translation: zh } },
  lng: "en",
  fallbackLng: "en",
  // Keys have dots in them; texts go to a terminal, not into a page.
  keySeparator: false,
  nsSeparator: false,
  interpolation: { escapeValue: false },
  initAsync: false,
});
void dictionaries.init();

const texts: Readonly<Record<Language, TFunction>> = {
  en: dictionaries.getFixedT("en"),
  zh: dictionaries.getFixedT("zh"),
};

/** The texts of one language, e.g. English for what programs read. */
export function sayIn(language: Language): Say {
  return (key, values = {}) => texts[language](key, { ...values });
}

/** The texts of the user's language. */
export const say: Say = (key, values) => sayIn(languageOf(process.env))(key, values);
