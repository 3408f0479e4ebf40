import texts from "./phrases.zh.json" with { type: "json" };

/**
 * Chinese by English: sentences that checks make, with `{{places}}` for what they put in. What stands in a place is a phrase itself, or stays as
 * it is (a name). `{{n}}` and `{{n2}}` take numbers, `{{parts}}` a list with commas, `{{names}}` one with " or ".
 */
export const phrasesInChinese: Readonly<Record<string, string>> = texts;

interface Phrase {
  readonly english: RegExp;
  readonly chinese: string;
}

let phrases: readonly Phrase[] | undefined;

/** A sentence of a check in Chinese, with its figures and names; undefined where it has no translation. */
export function inChinese(sentence: string): string | undefined {
  phrases ??= Object.entries(phrasesInChinese)
    // The one that says most is the one that is meant.
    .toSorted(([a], [b]) => literalLength(b) - literalLength(a))
    .map(([english, chinese]) => ({ english: patternOf(english), chinese }));
  for (const { english, chinese } of phrases) {
    const found = english.exec(sentence);
    if (found === null) continue;
    const values = found.groups ?? {};
    return chinese.replaceAll(/\{\{(\w+)\}\}/g, (_place, name: string) => placed(name, values[name] ?? ""));
  }
  return undefined;
}

function placed(name: string, value: string): string {
  if (/^n\d*$/.test(name)) return value;
  if (name === "parts") return value.split(", ").map(orItself).join("，");
  if (name === "names") return value.replaceAll(/(;|,)? or /g, " 或 ");
  return orItself(value);
}

function orItself(value: string): string {
  return inChinese(value) ?? value;
}

const place = /\{\{(\w+)\}\}/;

function literalLength(english: string): number {
  return english.replaceAll(new RegExp(place, "g"), "").length;
}

function patternOf(english: string): RegExp {
  const pieces = english.split(place);
  const source = pieces.map((piece, index) => {
    if (index % 2 === 0) return piece.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return `(?<${piece}>${/^n\d*$/.test(piece) ? "[\\d.,]+" : ".+?"})`;
  });
  return new RegExp(`^${source.join("")}$`, "s");
}
