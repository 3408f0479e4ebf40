import type { CheckFinding } from "../../recipe/check-report.ts";
import { datasetStageFault } from "../../recipe/dataset-stage.ts";
import type { Experiment } from "../../recipe/experiment.ts";
import { planAll } from "./sources.ts";

/** Datasets of another kind than the stage trains on, by what is declared of them: no row is read. */
export async function stageFindings({ datasets, train }: Experiment): Promise<CheckFinding[]> {
  // What is wrong with a dataset_info.json is told where its files are read.
  const plans = await planAll(datasets).catch(() => []);
  return plans.flatMap(({ name, info, index }): CheckFinding[] => {
    const fault = datasetStageFault(name, info, train["stage"]);
    return fault === undefined ? [] : [{ area: "data", level: "error", property: `datasets.${index}`, ...fault }];
  });
}
