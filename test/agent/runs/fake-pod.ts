import { timingOf } from "../../../agent/runs/timing.ts";
import { workOn } from "../../../agent/runs/work.ts";
import { layoutOf } from "../../../recipe/layout.ts";
import { fakeTrainer } from "./fake-program.ts";

/** `agent.mjs work`, as a trainer Pod runs it, with a fake trainer. */
const [dataDirectory = "", run = ""] = process.argv.slice(2);
process.exitCode = await workOn(layoutOf(dataDirectory), run, fakeTrainer, { ...timingOf(process.env), poll: 20 });
