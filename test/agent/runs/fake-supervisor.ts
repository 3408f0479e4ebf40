import { superviseRun } from "../../../agent/runs/supervisor.ts";
import { timingOf } from "../../../agent/runs/timing.ts";
import { layoutOf } from "../../../recipe/layout.ts";
import { fakeTrainer } from "./fake-program.ts";

const [dataDirectory = "", run = "", token = ""] = process.argv.slice(2);
await superviseRun(layoutOf(dataDirectory), run, token, fakeTrainer, { ...timingOf(process.env), poll: 20 });
