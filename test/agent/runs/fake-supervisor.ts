import { fileURLToPath } from "node:url";
import { superviseRun } from "../../../agent/runs/supervisor.ts";
import type { TrainerCommand } from "../../../agent/runs/trainer.ts";
import { timingOf } from "../../../agent/runs/timing.ts";
import { layoutOf } from "../../../recipe/layout.ts";

const script = fileURLToPath(new URL("./fake-trainer.ts", import.meta.url));

const fakeTrainer: TrainerCommand = ({ spec, paths, attempt, resume }) =>
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

const [dataDirectory = "", run = "", token = ""] = process.argv.slice(2);
await superviseRun(layoutOf(dataDirectory), run, token, fakeTrainer, { ...timingOf(process.env), poll: 20 });
