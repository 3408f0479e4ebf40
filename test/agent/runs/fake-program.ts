import { fileURLToPath } from "node:url";
import type { TrainerCommand } from "../../../agent/runs/trainer.ts";

const script = fileURLToPath(new URL("./fake-trainer.ts", import.meta.url));

/** Starts a fake trainer as the real one is started; an environment called `missing` has no Python. */
export const fakeTrainer: TrainerCommand = ({ spec, paths, attempt, resume }) =>
  Promise.resolve({
    file: spec.environment === "missing" ? "/nonexistent/python" : process.execPath,
    words: [
      ...process.execArgv,
      script,
      ...["--run-directory", paths.directory, "--attempt", String(attempt)],
      ...(resume === undefined ? [] : ["--resume", resume]),
    ],
    environment: {},
  });
