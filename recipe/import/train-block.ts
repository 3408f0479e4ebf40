import {
  type Document,
  isMap,
  isScalar,
  type Node,
  type Pair,
  type Scalar,
  stringify,
  visit,
  type YAMLMap,
} from "yaml";

/** What becomes of the lines of a LLaMA-Factory file under `tuneup:train`. */
export interface TrainEdits {
  /** Names of arguments whose lines go. */
  readonly removed: ReadonlySet<string>;
  /** Arguments that get another value, a map. */
  readonly replaced: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** A piece of text that takes the place of `text.slice(start, end)`. */
interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * The lines of a file for `tuneup:train`, without indentation: the user's own text, comments and number formats included,
 * less what is removed. Nothing where its layout (JSON, a flow map) has no lines to keep.
 */
export function keptLines(text: string, document: Document, edits: TrainEdits): string | undefined {
  const { contents } = document;
  if (!isMap(contents) || contents.flow === true) return undefined;
  const splices = (contents as YAMLMap<Scalar, Scalar>).items.flatMap((pair) => splicesOf(text, pair, edits));
  let result = text;
  for (const { start, end, text: replacement } of splices.sort((a, b) => b.start - a.start)) {
    result = result.slice(0, start) + replacement + result.slice(end);
  }
  return result
    .replace(/^(%.*\n)*---[ \t]*\n/m, "")
    .replace(/^\.\.\.[ \t]*$/m, "")
    .replace(/[ \t]+$/gm, "")
    .replace(/\n{3,}/g, "\n\n")
    .replace(/^\n+|\n+$/g, "");
}

function splicesOf(text: string, pair: Pair<Scalar, Scalar>, { removed, replaced }: TrainEdits): Splice[] {
  const name = String(pair.key.value);
  const start = pair.key.range?.[0] ?? 0;
  const keyEnd = pair.key.range?.[1] ?? start;
  const valueEnd = Math.max(pair.value?.range?.[1] ?? keyEnd, keyEnd);
  const lineStart = text.lastIndexOf("\n", start - 1) + 1;
  const newline = text.indexOf("\n", Math.max(valueEnd - 1, start));
  const lineEnd = newline === -1 ? text.length : newline;
  if (removed.has(name)) return [{ start: lineStart, end: Math.min(lineEnd + 1, text.length), text: "" }];
  const map = replaced[name];
  if (map !== undefined) {
    const block = stringify(map).trimEnd().replace(/^/gm, "  ");
    return [
      { start: keyEnd, end: valueEnd, text: ":" },
      { start: lineEnd, end: lineEnd, text: `\n${block}` },
    ];
  }
  return plainScalars(pair);
}

/** YAML 1.1 has more ways to write a flag and a number than Pulumi's YAML reads. */
function plainScalars(pair: Pair<Scalar, Scalar>): Splice[] {
  const splices: Splice[] = [];
  const { value: values } = pair as Pair<Scalar, Node | null>;
  visit(values, {
    Scalar: (key, node) => {
      const { value, source, range } = node;
      if (key === "key" || source === undefined || !range) return;
      const odd =
        (typeof value === "boolean" && !/^(true|false)$/.test(source)) ||
        (typeof value === "number" && (Number(source) !== value || /^0\d/.test(source)));
      if (odd) splices.push({ start: range[0], end: range[1], text: String(value) });
    },
  });
  return splices;
}

/** The values of a document for `tuneup:train`, for where their lines can't be kept. */
export function keptValues(
  values: Readonly<Record<string, unknown>>,
  { removed, replaced }: TrainEdits,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (removed.has(name) ? [] : [[name, replaced[name] ?? value]])),
  );
}

/** Does the file have comments, so that it is worth a word when they can't be kept? */
export function hasComments(document: Document): boolean {
  let found = document.comment !== null || document.commentBefore !== null;
  visit(document, {
    Node: (_key, node) => {
      if (isScalar(node) || isMap(node)) found ||= Boolean(node.comment ?? node.commentBefore);
    },
  });
  return found;
}
