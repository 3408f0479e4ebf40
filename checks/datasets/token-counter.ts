import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as library from "@huggingface/tokenizers";
import { z } from "zod";
import { Fault } from "../../recipe/fault.ts";
import { type BytePairModel, BytePairs } from "./byte-pairs.ts";
import { wordCutter } from "./pieces.ts";

/** Counts tokens as the model's own tokenizer would make them, without tokens that it adds around a text. */
export interface TokenCounter {
  count(text: string): number;
  /** Is there such a token? A template's bos and eos count only where there is. */
  readonly bos: boolean;
  readonly eos: boolean;
  /** `byte pairs`: our own counting; `library`: @huggingface/tokenizers, slower, for every other kind. */
  readonly by: "byte pairs" | "library";
}

/** The package's own types do not resolve in Node's way of modules: what is used of it. */
interface LibraryTokenizer {
  encode(text: string, options: { readonly add_special_tokens: boolean }): { readonly ids: readonly number[] };
}
const { Tokenizer } = library as unknown as { Tokenizer: new (file: unknown, config: unknown) => LibraryTokenizer };

const addedToken = z.object({
  content: z.string().min(1),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().default(false),
});
const tokenizerFile = z.looseObject({
  added_tokens: z.array(addedToken).default([]),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  model: z.looseObject({ type: z.string().optional() }),
});
const named = z.union([z.string(), z.object({ content: z.string() })]).nullish();
const configFile = z.looseObject({ bos_token: named, eos_token: named });

/** The counter of the model in `folder`; undefined if there is no tokenizer.json. Throws Fault `tokenizer-invalid`. */
export async function tokenCounter(folder: string): Promise<TokenCounter | undefined> {
  const path = join(folder, "tokenizer.json");
  if (!existsSync(path)) return undefined;
  try {
    const tokenizer: unknown = JSON.parse(await readFile(path, "utf8"));
    const configPath = join(folder, "tokenizer_config.json");
    const config: unknown = existsSync(configPath) ? JSON.parse(await readFile(configPath, "utf8")) : {};
    return counterOf(tokenizer, config);
  } catch (thrown) {
    const said = thrown instanceof Error ? (thrown.message.split("\n")[0] ?? "") : String(thrown);
    const message = `${path} can't be read (${said}).`;
    throw new Fault({ code: "tokenizer-invalid", property: "model.id", message, next: "Fetch the model again." });
  }
}

/** The counter by the contents of tokenizer.json and tokenizer_config.json. */
export function counterOf(tokenizer: unknown, config: unknown): TokenCounter {
  const file = tokenizerFile.parse(tokenizer);
  const { bos_token: bos, eos_token: eos } = configFile.parse(config);
  const facts = { bos: (bos ?? null) !== null, eos: (eos ?? null) !== null };
  const cutter = wordCutter(file.pre_tokenizer);
  const normalize = normalizerOf(file.normalizer);
  const plain = file.added_tokens.every((token) => !token.single_word && !token.lstrip && !token.rstrip);
  if (file.model.type === "BPE" && cutter !== undefined && normalize !== undefined && plain && isPlainBpe(file.model)) {
    const pairs = new BytePairs(file.model as unknown as BytePairModel);
    const added = addedPattern(file.added_tokens.map(({ content }) => content));
    return { ...facts, by: "byte pairs", count: (text) => countWords(text, { pairs, cutter, normalize, added }) };
  }
  const general = new Tokenizer(tokenizer, config);
  return { ...facts, by: "library", count: (text) => general.encode(text, { add_special_tokens: false }).ids.length };
}

function isPlainBpe(model: Readonly<Record<string, unknown>>): boolean {
  return ["dropout", "continuing_subword_prefix", "end_of_word_suffix"].every((key) => (model[key] ?? "") === "");
}

function normalizerOf(value: unknown): ((text: string) => string) | undefined {
  if (value === null || value === undefined) return (text) => text;
  const { type } = value as { type?: unknown };
  return type === "NFC" ? (text) => text.normalize("NFC") : undefined;
}

/** The longest first, as the library looks for them. */
function addedPattern(tokens: readonly string[]): RegExp | undefined {
  if (tokens.length === 0) return undefined;
  const longest = [...tokens].sort((a, b) => b.length - a.length);
  return new RegExp(longest.map((token) => token.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"), "g");
}

interface Machine {
  readonly pairs: BytePairs;
  readonly cutter: (text: string) => readonly string[];
  readonly normalize: (text: string) => string;
  readonly added: RegExp | undefined;
}

function countWords(text: string, { pairs, cutter, normalize, added }: Machine): number {
  let tokens = 0;
  let start = 0;
  const countPlain = (part: string): void => {
    if (part !== "") for (const word of cutter(normalize(part))) tokens += pairs.count(word);
  };
  if (added !== undefined) {
    for (const match of text.matchAll(added)) {
      countPlain(text.slice(start, match.index));
      tokens += 1;
      start = match.index + match[0].length;
    }
  }
  countPlain(start === 0 ? text : text.slice(start));
  return tokens;
}
