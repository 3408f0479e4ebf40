import { z } from "zod";

const split = z.object({
  type: z.literal("Split"),
  pattern: z.object({ Regex: z.string() }),
  behavior: z.literal("Isolated"),
  invert: z.literal(false).optional(),
});
const digits = z.object({ type: z.literal("Digits"), individual_digits: z.boolean() });
const byteLevel = z.object({
  type: z.literal("ByteLevel"),
  add_prefix_space: z.literal(false),
  use_regex: z.boolean().default(true),
});
const step = z.discriminatedUnion("type", [split, digits, byteLevel]);
const preTokenizer = z.union([step, z.object({ type: z.literal("Sequence"), pretokenizers: z.array(step).min(1) })]);

/** GPT-2's, which ByteLevel brings. */
const gpt2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** Cuts a text into the words that BPE works on; undefined if the tokenizer cuts in a way that is not known here. */
export function wordCutter(value: unknown): ((text: string) => readonly string[]) | undefined {
  const parsed = preTokenizer.safeParse(value);
  if (!parsed.success) return undefined;
  const steps = parsed.data.type === "Sequence" ? parsed.data.pretokenizers : [parsed.data];
  if (steps.at(-1)?.type !== "ByteLevel") return undefined;
  const patterns = steps.flatMap((one) => {
    if (one.type === "Split") return [one.pattern.Regex];
    if (one.type === "Digits") return [one.individual_digits ? String.raw`\p{N}` : String.raw`\p{N}+`];
    return one.use_regex ? [gpt2] : [];
  });
  try {
    const cutters = patterns.map((pattern) => new RegExp(translated(pattern), "gu"));
    return (text) => cutters.reduce<readonly string[]>((words, cutter) => cutAll(words, cutter), [text]);
  } catch {
    return undefined;
  }
}

/** White space as the library's engine means it: with U+0085, without U+FEFF. */
function translated(pattern: string): string {
  return pattern
    .replaceAll(String.raw`\s`, String.raw`\p{White_Space}`)
    .replaceAll(String.raw`\S`, String.raw`\P{White_Space}`);
}

function cutAll(words: readonly string[], cutter: RegExp): readonly string[] {
  const [first] = words;
  return words.length === 1 && first !== undefined ? cut(first, cutter) : words.flatMap((word) => cut(word, cutter));
}

/** Every match is a word, and so is what lies between two. */
function cut(text: string, cutter: RegExp): readonly string[] {
  const matches: readonly string[] = text.match(cutter) ?? [];
  let covered = 0;
  for (const match of matches) covered += match.length;
  if (covered === text.length) return matches;
  const words: string[] = [];
  let end = 0;
  for (const match of text.matchAll(cutter)) {
    if (match.index > end) words.push(text.slice(end, match.index));
    words.push(match[0]);
    end = match.index + match[0].length;
  }
  if (end < text.length) words.push(text.slice(end));
  return words;
}
