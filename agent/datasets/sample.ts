import { join } from "node:path";
import type { z } from "zod";
import { Fault } from "../../recipe/fault.ts";
import { layoutOf } from "../../recipe/layout.ts";
import { datasetSample } from "../../recipe/protocol.ts";
import { lastWords, runAttached } from "../attached.ts";
import type { Handler } from "../context.ts";
import { pythonScript } from "../scripts.ts";

/** One row as LLaMA-Factory's own code renders and masks it, in the environment that will train. */
export const datasetSampleCommand: Handler<"dataset-sample"> = async (input, context) => {
  const { dataDirectory, environment, ...asked } = input;
  const python = join(environment, "bin", "python");
  const script = await pythonScript(layoutOf(dataDirectory), "dataset_sample");
  context.progress({ message: "rendering a sample" });
  const { stdout, stderr } = await runAttached(python, ["-I", script], {
    python,
    signal: context.signal,
    input: JSON.stringify(asked),
  });
  const read = datasetSample.safeParse(tryParse(stdout));
  if (read.success) return read.data;
  throw new Fault({
    code: "dataset-sample",
    property: "datasets",
    message: `LLaMA-Factory can't render the first row: ${lastWords(stderr)}`,
    next: "`columns`, `tags` and `train.template` decide how it is read.",
  });
};

function tryParse(text: string): z.infer<typeof datasetSample> | undefined {
  try {
    return JSON.parse(text) as z.infer<typeof datasetSample>;
  } catch {
    return undefined;
  }
}
