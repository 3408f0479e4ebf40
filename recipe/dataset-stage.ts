import type { FaultFacts } from "./fault.ts";

/** What a dataset's entry says about its rows, with the names of dataset_info.json. */
type Info = Readonly<Record<string, unknown>>;

/**
 * Is the dataset of another kind than the stage trains on? LLaMA-Factory 0.9.5, data/loader.py: rm and dpo (which loads its data as rm) take
 * preference data alone, all other stages none; data/processor/feedback.py and supervised.py drop every row that has no kto_tag, and one.
 * `name` is for people.
 */
export function datasetStageFault(
  name: string,
  info: Info,
  stage: unknown = "sft",
): Omit<FaultFacts, "property"> | undefined {
  const ranking = info["ranking"] === true;
  const fault = (message: string, next: string) => ({ code: "dataset-stage", message: `${name}: ${message}`, next });
  if (stage === "rm" || stage === "dpo") {
    if (ranking) return undefined;
    return fault(
      `stage ${stage} trains on preference data, and this dataset is not declared as such (ranking).`,
      "Give it `ranking: true` and `columns` with chosen and rejected, or take another dataset.",
    );
  }
  if (ranking) {
    return fault(
      `it is preference data (ranking: true), which stages dpo and rm train on; the stage is ${String(stage)}.`,
      "Set `train.stage: dpo`, or take another dataset.",
    );
  }
  const tagged = typeof columnsOf(info)["kto_tag"] === "string";
  if (stage === "kto" && !tagged) {
    return fault(
      "stage kto needs to know which answers are good, and no column is named as kto_tag.",
      "Name the column of true and false: `columns: {..., kto_tag: ...}`, or take another dataset.",
    );
  }
  if (stage === "sft" && tagged) {
    return fault(
      "it has a kto_tag, and LLaMA-Factory drops such rows in stage sft.",
      "Set `train.stage: kto`, or take kto_tag out of its `columns`.",
    );
  }
  return undefined;
}

function columnsOf(info: Info): Info {
  const { columns } = info;
  return typeof columns === "object" && columns !== null ? (columns as Info) : {};
}
