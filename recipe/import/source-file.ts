import { type Document, isMap, LineCounter, parseDocument } from "yaml";
import { Fault } from "../fault.ts";

/** A LLaMA-Factory file as the user gave it. */
export interface SourceFile {
  /** Its path, for sentences. */
  readonly path: string;
  readonly text: string;
  readonly document: Document.Parsed;
  readonly values: Readonly<Record<string, unknown>>;
  readonly kind: "training" | "inference";
}

/** Reads a LLaMA-Factory YAML or JSON. Throws Fault with file and line for what can't be read, and for what is no training or inference. */
export function readSource(path: string, text: string): SourceFile {
  const plain = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  const lines = new LineCounter();
  const document = parseDocument(plain, {
    // LLaMA-Factory reads YAML 1.1, where `yes` is true, but leaves dates as texts; JSON is YAML.
    version: "1.1",
    customTags: (tags) => tags.filter((tag) => typeof tag === "string" || !tag.tag.endsWith(":timestamp")),
    lineCounter: lines,
  });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    const sentence = error.message.split("\n")[0]?.replace(/ at line \d+.*$/, "") ?? "is not YAML";
    throw wrong(
      "import-yaml",
      `${path}:${line}:${col}: ${sentence}.`,
      "Correct that line; LLaMA-Factory can't read it either.",
    );
  }
  if (!isMap(document.contents)) {
    throw wrong(
      "import-shape",
      `${path} holds ${document.contents === null ? "nothing" : "no map of arguments"}.`,
      "Give a YAML or JSON file as `llamafactory-cli train` takes it.",
    );
  }
  const values = (document.toJS() ?? {}) as Record<string, unknown>;
  return { path, text: plain, document, values, kind: kindOf(path, values) };
}

function wrong(code: string, message: string, next: string): Fault {
  return new Fault({ code, message, next });
}

function kindOf(path: string, values: Readonly<Record<string, unknown>>): SourceFile["kind"] {
  const has = (...names: string[]): boolean =>
    names.some((name) => values[name] !== undefined && values[name] !== null);
  if (has("export_dir")) {
    throw wrong(
      "import-export",
      `${path} merges or quantizes a model (export_dir); it trains nothing.`,
      "Import the training's file; what it trains is served without a merge.",
    );
  }
  if (
    has("micro_batch_size", "sample_backend", "train_dataset", "peft_config", "dist_config") &&
    !has("model_name_or_path")
  ) {
    throw wrong(
      "import-v1",
      `${path} is for LLaMA-Factory's v1 trainer (USE_V1=1), which has arguments of its own.`,
      "Give a file as `llamafactory-cli train` takes it without USE_V1.",
    );
  }
  if (values["do_train"] !== true && (values["do_predict"] === true || values["do_eval"] === true)) {
    throw wrong(
      "import-predict",
      `${path} evaluates a model (do_predict or do_eval without do_train); it trains nothing.`,
      "Import the training's file; `val_size` and `eval_strategy` evaluate while it trains.",
    );
  }
  if (has("dataset", "stage", "do_train", "output_dir", "learning_rate")) return "training";
  if (has("infer_backend") || (has("model_name_or_path") && has("template", "adapter_name_or_path")))
    return "inference";
  throw wrong(
    "import-shape",
    `${path} holds no argument of LLaMA-Factory's training: neither dataset, stage nor do_train.`,
    "Give a YAML or JSON file as `llamafactory-cli train` takes it.",
  );
}

/** The training file and, where there is one, the inference file of a pair. Throws Fault for any other number. */
export function pairOf(files: readonly SourceFile[]): { training: SourceFile; inference?: SourceFile } {
  const trainings = files.filter(({ kind }) => kind === "training");
  const inferences = files.filter(({ kind }) => kind === "inference");
  const [training] = trainings;
  const [inference] = inferences;
  if (training === undefined) {
    throw wrong(
      "import-inference",
      `${files.map(({ path }) => path).join(" and ")} only serves a model; there is nothing to train.`,
      "Give the training's file, alone or together with this one.",
    );
  }
  if (trainings.length > 1 || inferences.length > 1) {
    const twice = trainings.length > 1 ? trainings : inferences;
    throw wrong(
      "import-many",
      `${twice.map(({ path }) => path).join(" and ")} are ${twice.length} ${twice[0]?.kind ?? ""} files, and an experiment has one.`,
      "Import them one by one, each with a --stack of its own.",
    );
  }
  return { training, ...(inference === undefined ? {} : { inference }) };
}
