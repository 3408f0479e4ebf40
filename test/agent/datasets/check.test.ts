import { appendFile, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkDatasetFile, inspectDatasetFile } from "../../../agent/datasets/check.ts";
import { Fault } from "../../../recipe/fault.ts";

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "tuneup-datasets-"))));
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function faultOf(name: string, content: string | Buffer, info: Record<string, unknown> = {}): Promise<Fault> {
  const thrown: unknown = await checkDatasetFile(await write(name, content), info).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(Fault);
  return thrown as Fault;
}

const row = (instruction: string, output: unknown = "An answer.", input: unknown = "") =>
  JSON.stringify({ instruction, input, output });

describe("files that LLaMA-Factory reads", () => {
  it.each([
    ["array.json", `[${row("a")},\n${row("b")}]`, {}, 2],
    ["lines.jsonl", `${row("a")}\n\n${row("b")}\n${row("c")}`, {}, 3],
    ["lines-in-json.json", `${row("a")}\n`, {}, 1],
    ["array-in-jsonl.jsonl", `\n [\n${row("a")}]`, {}, 1],
    ["bom.jsonl", `\uFEFF${row("a")}\n`, {}, 1],
    // A column is there when any row has it.
    ["sparse.jsonl", `{"instruction":"a","output":"b"}\n${row("c", "d", "e")}\n`, {}, 2],
    ["null-input.jsonl", `${row("a", "b", null)}\n`, {}, 1],
    ["renamed.json", '[{"q":"a","a":"b"}]', { columns: { prompt: "q", response: "a" } }, 1],
    [
      "ranking.jsonl",
      '{"instruction":"a","input":"","chosen":"b","rejected":"c"}\n',
      {
        ranking: true,
        columns: { prompt: "instruction", query: "input", chosen: "chosen", rejected: "rejected" },
      },
      1,
    ],
    [
      "chat.json",
      '[{"conversations":[{"from":"system","value":"s"},{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}]',
      { formatting: "sharegpt" },
      1,
    ],
    [
      "openai.jsonl",
      '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n',
      {
        formatting: "sharegpt",
        columns: { messages: "messages" },
        tags: { role_tag: "role", content_tag: "content", user_tag: "user", assistant_tag: "assistant" },
      },
      1,
    ],
    ["plain.csv", 'instruction,input,output\r\na,,b\r\n"x, ""y""\nz",i,"answer"\r\n', {}, 2],
  ])("%s", async (name, content, info, rows) => {
    const checked = await checkDatasetFile(await write(name, content), info);
    expect(checked.rows).toBe(rows);
  });
});

describe("files that it fails at, or trains nonsense on", () => {
  it.each([
    ["empty.json", "", {}, "dataset-empty", "it is empty"],
    ["no-rows.json", "[]", {}, "dataset-empty", "no rows"],
    ["torn.json", `[${row("a")},\n${row("b")},\n{"instruction": "c"`, {}, "dataset-malformed", "line 3"],
    ["trailing.json", `[\n${row("a")},\n]`, {}, "dataset-malformed", "line 3"],
    ["torn.jsonl", `${row("a")}\n{"instruction": \n`, {}, "dataset-malformed", "line 2"],
    ["not-rows.json", '["a"]', {}, "dataset-malformed", "row 1 (line 1) must be an object"],
    ["not-row.jsonl", `${row("a")}\n[1]\n`, {}, "dataset-malformed", "line 2"],
    [
      "latin1.jsonl",
      Buffer.from(`${row("a")}\n${row("Gr\u00fc\u00dfe")}\n`, "latin1"),
      {},
      "dataset-encoding",
      "line 2",
    ],
    ["latin1.json", Buffer.from(`[${row("a")},\n${row("\u00fc")}]`, "latin1"), {}, "dataset-encoding", "line 2"],
    ["utf16.json", Buffer.from(`\uFEFF[${row("a")}]`, "utf16le"), {}, "dataset-encoding", "UTF-16"],
    ["bom.json", `\uFEFF[${row("a")}]`, {}, "dataset-encoding", "byte order mark"],
    [
      "lacking.json",
      '[{"instruction":"a","input":"","answer":"b"}]',
      {},
      "dataset-column",
      '"output" (response); it has "instruction", "input", "answer"',
    ],
    ["no-input.jsonl", '{"instruction":"a","output":"b"}\n', {}, "dataset-column", '"input" (query)'],
    [
      "misnamed.jsonl",
      `${row("a")}\n`,
      { columns: { prompt: "question", response: "output" } },
      "dataset-column",
      '"question" (prompt)',
    ],
    ["number.jsonl", `${row("a", 5)}\n`, {}, "dataset-column-type", 'line 1: "output" must be a text, got a number'],
    [
      "mixed.json",
      `[{"id":1,"instruction":"a","input":"","output":"b"},{"id":"2","instruction":"a","input":"","output":"b"}]`,
      {},
      "dataset-column-type",
      "a number in row 1 (line 1) and a text in row 2 (line 1)",
    ],
    [
      "silent.jsonl",
      `${row("a")}\n${row("b", " ")}\n${row("c", null)}\n`,
      {},
      "dataset-answer-empty",
      "line 2: the answer is empty; the model would learn to say nothing. Also in line 3.",
    ],
    [
      "turns.jsonl",
      '{"conversations":[{"from":"human","value":"a"},{"from":"human","value":"b"}]}\n',
      { formatting: "sharegpt" },
      "dataset-messages",
      'turn 2 must be of gpt or function_call, got "human"',
    ],
    [
      "unanswered.jsonl",
      '{"conversations":[{"from":"human","value":"a"}]}\n',
      { formatting: "sharegpt" },
      "dataset-messages",
      "must end with an answer",
    ],
    [
      "roles.jsonl",
      '{"conversations":[{"role":"user","content":"a"}]}\n',
      { formatting: "sharegpt" },
      "dataset-messages",
      'message 1 must be an object with "from" and "value"',
    ],
    [
      "chat-lacking.jsonl",
      '{"messages":[]}\n',
      { formatting: "sharegpt" },
      "dataset-column",
      '"conversations" (messages); it has "messages"',
    ],
    [
      "wide.csv",
      "instruction,input,output\na,,b,c\n",
      {},
      "dataset-malformed",
      "line 2 has 4 fields, the header has 3",
    ],
    ["unclosed.csv", 'instruction,input,output\na,,b\n"c,,d\n', {}, "dataset-malformed", "line 3"],
    ["na.csv", "instruction,input,output\na,,NA\n", {}, "dataset-answer-empty", "line 2"],
    ["numbers.csv", "instruction,input,output\na,,4\nb,,5\n", {}, "dataset-column-type", "only numbers"],
    [
      "unfilled.jsonl",
      `${row("a")}\n${row("Who are you?", "I am {{name}}.")}\n`,
      {},
      "dataset-placeholder",
      "line 2: {{name}} or {{author}} is still in the text",
    ],
    ["half-array.json", `[${row("a")}\n`, {}, "dataset-malformed", "line 2: it ends within the list"],
    ["after.json", `[${row("a")}]\n, {}`, {}, "dataset-malformed", "line 2: text after the end"],
    [
      "tag.jsonl",
      '{"instruction":"a","input":"","output":"b","good":"yes"}\n',
      { columns: { prompt: "instruction", response: "output", kto_tag: "good" } },
      "dataset-column-type",
      'line 1: "good" must be true or false, got a text',
    ],
    [
      "sides.jsonl",
      '{"conversations":[{"from":"human","value":"a"}],"chosen":{"from":"gpt","value":"b"},"rejected":{"from":"human","value":"c"}}\n',
      {
        formatting: "sharegpt",
        ranking: true,
        columns: { messages: "conversations", chosen: "chosen", rejected: "rejected" },
      },
      "dataset-messages",
      'line 1: "rejected" must be a message of gpt',
    ],
    [
      "history.jsonl",
      '{"instruction":"a","input":"","output":"b","past":[["q"]]}\n',
      { columns: { prompt: "instruction", response: "output", history: "past" } },
      "dataset-messages",
      'turn 1 of "past" must be a pair of texts',
    ],
    ["torn.arrow", "ARROW1", {}, "dataset-malformed", "can't be read as Arrow (its end is missing)"],
    ["torn.parquet", "PAR1", {}, "dataset-malformed", "can't be read as Parquet"],
    ["notes.txt", "hello", {}, "dataset-format", ".json, .jsonl, .csv, .parquet or .arrow"],
    ["formatting.json", `[${row("a")}]`, { formatting: "chatml" }, "dataset-info", "alpaca or sharegpt"],
    [
      "columns.json",
      `[${row("a")}]`,
      { columns: { answer: "output" } },
      "dataset-info",
      "`columns.answer` is not one of",
    ],
    ["unanswerable.json", `[${row("a")}]`, { columns: { prompt: "instruction" } }, "dataset-info", "lacks response"],
  ])("%s", async (name, content, info, code, words) => {
    const fault = await faultOf(name, content, info);
    expect(fault.code).toBe(code);
    expect(fault.message).toContain(words);
    if (code !== "dataset-info") expect(fault.message).toContain(join(folder, name));
  });

  it("names a missing file and a folder", async () => {
    await expect(checkDatasetFile(join(folder, "nowhere.json"), {})).rejects.toThrow(
      "nowhere.json: there is no such file.",
    );
    await expect(checkDatasetFile(folder, {})).rejects.toThrow("it is not a file.");
  });

  it("quotes nothing of the rows: they may be private", async () => {
    const fault = await faultOf("private.jsonl", '{"instruction": "my-secret-question" "output"}\n');
    expect(fault.sentence).not.toContain("my-secret");
  });

  it("counts the empty answers and names three", async () => {
    const fault = await faultOf("many.jsonl", Array.from({ length: 9 }, () => `${row("a", "")}\n`).join(""));
    expect(fault.message).toContain("Also in line 2, line 3 and 6 more");
  });
});

describe("inspectDatasetFile", () => {
  it("tells every kind of problem with its first lines, and duplicates", async () => {
    const lines = [row("a"), row("b", ""), "{", row("a"), "[]", row("c", ""), row("a")];
    const found = await inspectDatasetFile(await write("bad.jsonl", lines.join("\n")), {});
    expect(found.problems.map(({ code, count, where }) => [code, count, where])).toEqual([
      ["dataset-answer-empty", 2, ["line 2", "line 6"]],
      ["dataset-malformed", 2, ["line 3", "line 5"]],
    ]);
    expect(found).toMatchObject({ rows: 5, duplicates: 2, duplicatesAt: ["line 4", "line 7"] });
  });

  it("finds duplicates whatever else their rows say", async () => {
    const lines = Array.from({ length: 200_000 }, (_, id) => `{"id":${id},"q":"${id % 199_998}","a":"yes"}`);
    const path = await write("twice.jsonl", lines.join("\n"));
    const found = await inspectDatasetFile(path, { columns: { prompt: "q", response: "a" } });
    expect(found).toMatchObject({ rows: 200_000, duplicates: 2, duplicatesAt: ["line 199999", "line 200000"] });
  });

  it("reads an array of many rows piece by piece, strings with brackets and quotes in them", async () => {
    const tricky = row('a "]}, \\', '[{\n"', "ü中");
    const path = await write("long.json", `[\n${Array.from({ length: 30_000 }, () => tricky).join(",\n")}\n]\n`);
    const seen: string[] = [];
    const found = await inspectDatasetFile(path, {}, { onRow: (_, where) => seen.push(where) });
    expect(found).toMatchObject({ rows: 30_000, problems: [], duplicates: 29_999 });
    expect(seen.at(-1)).toBe("row 30000 (line 30001)");
  });

  it("takes rows of nothing but text where stage pt reads them", async () => {
    const path = await write("text.jsonl", '{"text":"Once upon a time."}\n');
    const info = { columns: { prompt: "text" } };
    await expect(checkDatasetFile(path, info, undefined, { plainText: true })).resolves.toMatchObject({ rows: 1 });
  });
});

describe("cache", () => {
  it("answers from the stamps, and reads again when the file changed", async () => {
    const cache = join(folder, "cache");
    const path = await write("cached.jsonl", `${row("a")}\n`);
    const first = await checkDatasetFile(path, {}, cache);
    const [entry] = await readdir(cache);
    const memory = join(cache, entry ?? "");
    // A planted answer shows that the file is not read again.
    const planted = JSON.stringify({
      ...JSON.parse(await (await import("node:fs/promises")).readFile(memory, "utf8")),
      rows: 77,
    });
    await writeFile(memory, planted);
    expect((await checkDatasetFile(path, {}, cache)).rows).toBe(77);
    await appendFile(path, `${row("b")}\n`);
    const second = await checkDatasetFile(path, {}, cache);
    expect(second.rows).toBe(2);
    expect(second.sha256).not.toBe(first.sha256);
  });
});
