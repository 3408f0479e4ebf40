import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  type Scalar,
  type ScalarTag,
  stringify,
  type Tags,
} from "yaml";
import { readExperiment } from "./experiment.ts";
import { experimentSchema, secretKeys } from "./experiment-schema.ts";
import { Fault } from "./fault.ts";
import { nearest } from "./nearest.ts";

/** What `tuneup set` is to change, in order: a value, or nothing to take the key out. */
export interface StackEdit {
  /** As in error texts: `train.learning_rate`, `datasets.0.name`. */
  readonly property: string;
  /** As YAML has it: `2e-4`, `true`, `[a, b]`. Default: the key is taken out. */
  readonly value?: string;
}

/**
 * A stack file's text with edits made, comments kept. Throws Fault for a key that can't be, and for every value that makes the
 * experiment wrong where it was not before; nothing is written here.
 */
export function editStack(text: string, edits: readonly StackEdit[]): string {
  const before = new Set(faultsOf(text).map(({ sentence }) => sentence));
  let edited = text;
  for (const edit of edits) {
    const first = applied(edited, edit, false);
    const wrong = faultsOf(first).filter(({ property }) => property === edit.property).length > 0;
    const plain = edit.value === undefined || !wrong ? first : applied(edited, edit, true);
    // `revision=1.0` is a text where a text is due.
    edited = wrong && faultsOf(plain).length < faultsOf(first).length ? plain : first;
  }
  const added = faultsOf(edited).filter(({ sentence }) => !before.has(sentence));
  const [only] = added;
  if (only === undefined) return edited;
  if (added.length === 1) throw only;
  throw new Fault({ code: "set-refused", message: added.map(({ sentence }) => sentence).join("\n") });
}

/** The values under `tuneup:` of a stack file's text. Throws Fault with `place`, its path, and the line where it is no stack file. */
export function stackConfig(text: string, place?: string): Record<string, unknown> {
  const config = valueOf(parsed(text, place), place);
  const values = (config as { config?: unknown } | null)?.config;
  if (typeof values !== "object" || values === null) return {};
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) =>
      key.startsWith("tuneup:") ? [[key.slice("tuneup:".length), value as unknown]] : [],
    ),
  );
}

/** A copy for another experiment: without what Pulumi encrypted for this one. */
export function copiedStack(text: string): string {
  const document = parsed(text);
  const own = ["encryptionsalt", "encryptedkey", "secretsprovider"].filter((key) => document.has(key));
  const secrets = secretKeys.filter((key) => document.hasIn(["config", `tuneup:${key}`]));
  if (own.length === 0 && secrets.length === 0) return text;
  for (const key of own) document.delete(key);
  for (const key of secrets) document.deleteIn(["config", `tuneup:${key}`]);
  return written(document);
}

function faultsOf(text: string): Fault[] {
  return (readExperiment(stackConfig(text)).faults ?? []).map((facts) => new Fault(facts));
}

function valueOf(document: Document.Parsed, place = "the stack file"): unknown {
  const wrong = (what: string, next: string): Fault =>
    new Fault({ code: "stack-yaml", message: `${place} ${what}.`, next });
  let value: unknown;
  try {
    value = document.toJS();
  } catch (thrown) {
    // An alias without its anchor is found here alone.
    throw wrong(`is not YAML: ${(thrown as Error).message.replace(/\.$/, "")}`, "Correct it.");
  }
  if (value === null || (typeof value === "object" && !Array.isArray(value))) return value;
  throw wrong("is no stack file: it must be a map with `config:` in it", "`npx tuneup new` makes one.");
}

function parsed(text: string, place = "the stack file"): Document.Parsed {
  // A key that is a map, as in an unquoted {{name}}, is told by the schema, not by a warning of the parser's.
  const document = parseDocument(text, { customTags: numbersAsWritten, logLevel: "error" });
  const [error] = document.errors;
  if (error === undefined) return document;
  const line = error.linePos?.[0].line ?? 1;
  throw new Fault({
    code: "stack-yaml",
    message: `line ${line} of ${place} is not YAML: ${(error.message.split("\n")[0] ?? "").replace(/ at line .*$/, "")}.`,
    next: "Correct that line.",
  });
}

/** `1.0e-4` stays `1.0e-4`: what nobody changed is written as it was. */
function numbersAsWritten(tags: Tags): Tags {
  return tags.map((tag) => {
    if (typeof tag === "string" || !/:(float|int)$/.test(tag.tag)) return tag;
    const numeric = tag as ScalarTag;
    const asWritten: ScalarTag["stringify"] = (item, context, onComment, onChomp) => {
      const { source, value } = item;
      if (source !== undefined && Number(source) === value) return source;
      return numeric.stringify?.(item, context, onComment, onChomp) ?? String(value);
    };
    return { ...numeric, stringify: asWritten };
  });
}

function written(document: Document.Parsed): string {
  return document.toString({ lineWidth: 0 });
}

function applied(text: string, { property, value }: StackEdit, plain: boolean): string {
  const document = parsed(text);
  const path = pathOf(property, document);
  if (value === undefined) {
    if (!document.hasIn(path)) {
      throw new Fault({ code: "set-absent", property, message: "is not set, so there is nothing to take out." });
    }
    keepComment(document, path);
    document.deleteIn(path);
    return written(document);
  }
  const node = nodeOf(property, value, plain);
  const old = document.getIn(path, true);
  // A value for a value: nothing else of the text changes.
  if (isScalar(old) && isScalar(node) && old.range) {
    return `${text.slice(0, old.range[0])}${scalarText(node)}${text.slice(old.range[1])}`;
  }
  if (isNode(old) && isNode(node)) node.comment = old.comment ?? null;
  if (path[1] !== undefined && !document.hasIn(path.slice(0, 2)) && path.length > 2) {
    document.setIn(path.slice(0, 2), document.createNode({}));
  }
  document.setIn(path, node);
  return written(document);
}

/** What stands above a key that goes, such as the heading of its group, goes to the next one. */
function keepComment(document: Document.Parsed, path: readonly (string | number)[]): void {
  const parent = document.getIn(path.slice(0, -1), true);
  if (!isMap<Node, Node>(parent)) return;
  const index = parent.items.findIndex(({ key }) => isScalar(key) && key.value === path.at(-1));
  const comment = parent.items[index]?.key.commentBefore;
  if (!comment) return;
  const next = parent.items[index + 1]?.key;
  if (next === undefined) parent.comment = [comment, parent.comment].filter(Boolean).join("\n");
  else next.commentBefore = [comment, next.commentBefore].filter(Boolean).join("\n");
}

function nodeOf(property: string, value: string, plain: boolean): Node {
  const document = parseDocument(plain ? JSON.stringify(value) : value, { customTags: numbersAsWritten });
  const { contents } = document;
  if (document.errors.length > 0 || contents === null) {
    throw new Fault({
      code: "set-value",
      property,
      message: `must be a value as YAML has it, got ${JSON.stringify(value)}.`,
      next: `Use \`--unset ${property}\` to take it out.`,
    });
  }
  return contents;
}

function scalarText(node: Scalar): string {
  if (typeof node.value === "number" && node.source !== undefined) return node.source;
  const text = stringify(node, { lineWidth: 0 }).trimEnd();
  // A block text would need lines of its own.
  return text.includes("\n") ? JSON.stringify(node.value) : text;
}

function pathOf(property: string, document: Document.Parsed): (string | number)[] {
  const [first = "", ...rest] = property.replace(/^tuneup:/, "").split(".");
  requireKey(first, property);
  const path: (string | number)[] = ["config", `tuneup:${first}`];
  for (const part of rest) {
    const parent = document.getIn(path, true);
    if (part === "") throw wrongPath(property, "has an empty part");
    if (isSeq(parent)) {
      const index = Number(part);
      if (!/^\d+$/.test(part) || index > parent.items.length) {
        throw wrongPath(
          property,
          `names no entry: ${path.slice(1).join(".").replace("tuneup:", "")} has ${parent.items.length}`,
        );
      }
      path.push(index);
    } else if (parent === undefined || isMap(parent) || (isScalar(parent) && parent.value === null)) path.push(part);
    else throw wrongPath(property, `goes into ${JSON.stringify((parent as Node).toJSON())}, which is no map`);
  }
  return path;
}

function wrongPath(property: string, what: string): Fault {
  return new Fault({
    code: "set-path",
    property,
    message: `${what}.`,
    next: "Name a value as error texts do, such as train.learning_rate or datasets.0.name.",
  });
}

function requireKey(key: string, property: string): void {
  const known = Object.keys(experimentSchema.shape);
  if (known.includes(key)) return;
  if ((secretKeys as readonly string[]).includes(key)) {
    throw new Fault({
      code: "set-secret",
      property,
      message: "is a secret, and `tuneup set` writes plain text.",
      next: `Use \`pulumi config set --secret ${key}\`.`,
    });
  }
  const close = nearest(key, known);
  throw new Fault({
    code: "config-unknown",
    property,
    message: `is not a config key. Allowed: ${known.join(", ")}.`,
    ...(close.length > 0 ? { next: `Did you mean ${close.join(" or ")}?` } : {}),
  });
}
