/** Chinese, Japanese and Korean characters and full-width forms: a terminal gives them two columns. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/;

function widthOf(character: string): number {
  return wide.test(character) || (character.codePointAt(0) ?? 0) > 0x1f300 ? 2 : 1;
}

/** Columns of a terminal that `text` takes. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += widthOf(character);
  return columns;
}

/** Like `padEnd`, by columns instead of characters. */
export function padColumns(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - columnsOf(text)));
}

/** The beginning of `text` that fits into so many columns. */
export function cutColumns(text: string, columns: number): string {
  let used = 0;
  let end = 0;
  for (const character of text) {
    used += widthOf(character);
    if (used > columns) return text.slice(0, end);
    end += character.length;
  }
  return text;
}
