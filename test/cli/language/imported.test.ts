import { expect, test } from "vitest";
import { noteText, ownedInChinese, questionText } from "../../../cli/language/imported.ts";
import { ownedArguments } from "../../../recipe/arguments.ts";
import { importTraining } from "../../../recipe/import/import.ts";
import { imported, least, worldOf } from "../../recipe/import/importing.ts";

test("questions are asked in the user's language", () => {
  const text = `${least}dataset: identity,alpaca_en_demo,unheard_of\n`;
  const result = importTraining([{ path: "x.yaml", text }], {}, worldOf());
  const questions = "questions" in result ? result.questions : [];
  expect(questions.map((question) => questionText(question, "en"))).toEqual([
    "What shall the assistant be called? (for {{name}} in identity)",
    "Who made it? (for {{author}} in identity)",
    "alpaca_en_demo is a demo file of LLaMA-Factory's own, in the folder data of its checkout. Where is that folder?",
    "unheard_of is in no list of datasets. Where is it (a file, org/name on a hub, an address)?",
  ]);
  for (const question of questions) expect(questionText(question, "zh")).toMatch(/[\u4e00-\u9fff].*[？）]$/);
  expect(questions.map((question) => questionText(question, "zh"))[0]).toContain("{{name}}");
});

test("every argument that tuneup owns and import drops has its reason in Chinese", () => {
  // These are mapped elsewhere, and import says that instead.
  const mapped = [
    "model_name_or_path",
    "adapter_name_or_path",
    "dataset",
    "dataset_dir",
    "eval_dataset",
    "infer_backend",
  ];
  const dropped = Object.keys(ownedArguments).filter((name) => !mapped.includes(name));
  expect(Object.keys(ownedInChinese).toSorted()).toEqual(dropped.toSorted());
  const owned = dropped.map((name) => `${name}: true\n`).join("");
  const { notes } = imported(`${least}dataset: identity\n${owned}`);
  for (const name of dropped) {
    const note = notes.find(({ values }) => values["name"] === name);
    expect(note === undefined ? "" : noteText(note, "en")).toBe(`${name}: ${ownedArguments[name] ?? ""}`);
    expect(note === undefined ? "" : noteText(note, "zh")).toBe(`${name}：${ownedInChinese[name] ?? ""}`);
  }
});
