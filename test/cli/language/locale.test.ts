import { expect, test } from "vitest";
import { languageOf, requireLanguage } from "../../../cli/language/locale.ts";

test.for([
  [{}, "en"],
  [{ LANG: "zh_CN.UTF-8" }, "zh"],
  [{ LANG: "zh" }, "zh"],
  [{ LANG: "zh_TW" }, "zh"],
  [{ LANG: "C.UTF-8" }, "en"],
  [{ LANG: "zhx" }, "en"],
  [{ LANG: "zh_CN.UTF-8", LC_MESSAGES: "en_US.UTF-8" }, "en"],
  [{ LANG: "en_US.UTF-8", LC_MESSAGES: "zh_CN.UTF-8" }, "zh"],
  [{ LANG: "zh_CN.UTF-8", LC_MESSAGES: "zh_CN", LC_ALL: "C" }, "en"],
  [{ LANG: "zh_CN.UTF-8", LC_ALL: "" }, "zh"],
  [{ LANG: "zh_CN.UTF-8", TUNEUP_LANGUAGE: "en" }, "en"],
  [{ LANG: "de_DE.UTF-8", TUNEUP_LANGUAGE: "zh" }, "zh"],
  [{ LANG: "zh_CN.UTF-8", TUNEUP_LANGUAGE: "fr" }, "zh"],
] as const)("%o is %s", ([variables, language]) => {
  expect(languageOf(variables)).toBe(language);
});

test("an unknown language is refused with the known ones", () => {
  expect(() => requireLanguage({ TUNEUP_LANGUAGE: "fr" })).toThrow('must be one of en, zh, got "fr"');
  for (const fine of ["en", "zh", "", undefined])
    expect(() => requireLanguage({ TUNEUP_LANGUAGE: fine })).not.toThrow();
});
