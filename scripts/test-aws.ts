import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { endingSignals } from "../cli/interrupt.ts";
import { asFault } from "../recipe/fault.ts";
import { accountOf, liveCommands } from "./live-aws/commands.ts";
import { liveTest } from "./live-aws/live-test.ts";
import { budgetOf, planOf, planText } from "./live-aws/plan.ts";

/**
 * `npm run test:aws -- --budget-usd 5`: the live test of the target aws, with real credentials and real money: up, a question, up again, status,
 * down --purge and audit, of a copy of the experiment aws-demo. Refuses to start without a budget that pays for it. It has never run on AWS.
 */
const folder = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

/** Aborted by the first Ctrl-C. Others end nothing: what costs money is being taken down then. */
function interruption(): AbortSignal {
  const abort = new AbortController();
  for (const name of endingSignals) {
    process.on(name, () => {
      if (abort.signal.aborted) console.log("It is taking down what it made; that takes minutes.");
      abort.abort();
    });
  }
  return abort.signal;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { "budget-usd": { type: "string" } } });
  const budget = budgetOf(values["budget-usd"]);
  const template = await readFile(`${folder}/stacks/Pulumi.aws-demo.yaml`, "utf8");
  const plan = planOf(template, `aws-live-${randomBytes(3).toString("hex")}`, budget, folder);
  const account = await accountOf(plan.region);
  console.log(planText(plan, account, process.env["AWS_ENDPOINT_URL"]));
  await liveTest(plan, liveCommands(folder), { signal: interruption() });
  console.log("The live test passed.");
}

// A terminal that is closed must not end it before what it made is taken down.
process.stdout.on("error", () => undefined);
process.stderr.on("error", () => undefined);

try {
  await main();
} catch (thrown) {
  const fault = asFault(thrown);
  console.error(fault.sentence);
  process.exitCode = fault.code === "cancelled" ? 130 : 1;
}
