import { styleText } from "node:util";
import type { Command } from "commander";
import type { Host } from "../../hosts/host.ts";
import type { CommandOutput, EndpointFacts } from "../../recipe/protocol.ts";
import { Fault } from "../../recipe/fault.ts";
import type { EngineEvent } from "../automation.ts";
import { say } from "../language/say.ts";
import { padColumns } from "../language/width.ts";
import { defaultExperiment } from "../project.ts";
import type { UpdateOutcome } from "../update-outcome.ts";

/** `tuneup up`: everything from the Pulumi CLI to the first answer. */
export function register(program: Command): void {
  program
    .command("up")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .description(say("up.help"))
    .action(up);
}

/** Everything that `tuneup up` does. */
export async function up(experiment: string): Promise<void> {
  const { policiesFor, requireProvisioned } = await import("../runnable.ts");
  await requireProvisioned(experiment);
  const { Display } = await import("../display.ts");
  const { openStack } = await import("../stack.ts");
  const { cancelled, withDisplay } = await import("../update.ts");
  const { UpdateOutcome } = await import("../update-outcome.ts");
  const { onHost } = await import("../project.ts");
  const { interruptSignal } = await import("../interrupt.ts");
  const { durationText } = await import("../language/duration.ts");
  await (await import("../notebook/propose.ts")).proposeHome();
  const startedAt = performance.now();
  const display = new Display();
  display.say(`${styleText("bold", `tuneup up ${experiment}`)}  (stacks/Pulumi.${experiment}.yaml)`);
  const signal = interruptSignal();
  const policies = await policiesFor(experiment);
  const stack = await openStack(experiment, "up", (line) => display.say(line), signal);
  const ready = say("up.ready", { time: durationText(performance.now() - startedAt) });
  display.say(`${styleText("green", "✓")} ${padColumns(say("step.tools"), 13)} ${ready}`);
  const outcome = new UpdateOutcome();
  await withDisplay(
    ({ onEvent, ...options }) => {
      const take = (event: EngineEvent): void => {
        outcome.take(event);
        onEvent(event);
      };
      return stack.up({ refresh: true, ...policies, ...options, onEvent: take });
    },
    display,
    say("up.interrupting"),
    signal,
  );
  await onHost(experiment, (host) => close(experiment, host, outcome, signal)).catch((thrown: unknown) => {
    throw signal.aborted ? cancelled() : thrown;
  });
  process.stdout.write(`\n${say("up.done", { time: durationText(performance.now() - startedAt) })}\n`);
}

/** The closing page: both models' answers where something is new, where everything is, what to type next. */
async function close(
  experiment: string,
  host: Host,
  { outputs, changed }: UpdateOutcome,
  signal: AbortSignal,
): Promise<void> {
  const { reachEndpoint } = await import("../reach-endpoint.ts");
  const { publicUrlIn } = await import("../public-url.ts");
  // A machine that has ended is none to be asked, and no other is made for that.
  const isThere = (await host.isUp?.()) !== false;
  const usage = isThere ? host.run("usage", { experiment }, { signal }) : Promise.resolve(undefined);
  // What fails first is told; this one is asked meanwhile.
  usage.catch(() => undefined);
  const artifact = outputs["artifact"] as string | undefined;
  if (artifact === undefined) {
    process.stdout.write(`\n${say("up.declared", { experiment })}\n`);
  } else if (outputs["url"] === undefined) {
    process.stdout.write(`\n${say("up.trained")}\n`);
    printRows([[say("up.artifact"), artifact]]);
  } else {
    const facts = await host.run("endpoint-wait", { experiment }, { signal });
    if (changed) {
      const reached = await reachEndpoint(host, facts);
      await compare(experiment, reached.facts, host, signal).finally(() => reached.close());
    } else process.stdout.write(`\n${say("up.unchanged")}\n`);
    const outside = publicUrlIn(outputs);
    const publicRows: Row[] =
      outside === undefined ? [] : [[say("up.public"), say("up.public.text", { url: outside })]];
    printRows([...endpointRows(experiment, facts, host), ...publicRows, [say("up.artifact"), artifact]]);
  }
  await printUsage(await usage, host);
}

/** The same questions to the base model and to the fine-tuned one. */
async function compare(experiment: string, endpoint: EndpointFacts, host: Host, signal: AbortSignal): Promise<void> {
  const { shownQuestions } = await import("../questions.ts");
  const models = [...endpoint.models].sort((a) => (a === "base" ? -1 : 1));
  if (!models.includes("base") && endpoint.status.baseRefused !== undefined) {
    process.stdout.write(`\n${say("up.baseRefused", { reason: endpoint.status.baseRefused })}\n`);
  }
  for (const question of shownQuestions) {
    process.stdout.write(`\n${styleText("bold", question)}\n`);
    for (const model of models) {
      process.stdout.write(`  ${styleText("cyan", model.padEnd(Math.max(experiment.length, "base".length)))}  `);
      await printAnswer(model, question, endpoint, signal, () => host.run("endpoint-wait", { experiment }, { signal }));
      process.stdout.write("\n");
    }
  }
}

/** Prints an answer. An engine that dies over it is waited for with `wait`, and asked once more. */
async function printAnswer(
  model: string,
  content: string,
  endpoint: EndpointFacts,
  signal: AbortSignal,
  wait: () => Promise<unknown>,
): Promise<void> {
  const { ask } = await import("../questions.ts");
  for (let last = false; ; last = true) {
    try {
      const options = { temperature: 0, maxTokens: shownTokens, signal };
      for await (const piece of ask(endpoint, model, [{ role: "user", content }], options)) {
        process.stdout.write(piece.replaceAll("\n", " "));
      }
      return;
    } catch (thrown) {
      signal.throwIfAborted();
      const message = (thrown as Error).message;
      process.stdout.write(`(${message})\n`);
      if (last) {
        throw new Fault({
          code: "answer-failed",
          message: `${model} gives no answer: ${message}`,
          next: "`npx tuneup status` shows its state, `npx tuneup logs --endpoint` its log, `npx tuneup up` repairs it.",
          blame: "infrastructure",
        });
      }
      await wait();
    }
  }
}

/** Most tokens of an answer that is shown at the end of `up`. */
const shownTokens = 60;

type Row = readonly [title: string, text: string];

function endpointRows(experiment: string, { url, models }: EndpointFacts, host: Host): Row[] {
  const name = experiment === defaultExperiment ? "" : ` ${experiment}`;
  const at = { url, name, host: host.description, models: models.join(", ") };
  const { isHere } = host;
  return [
    [say("up.endpoint"), isHere ? say("up.endpoint.text", at) : say("up.endpoint.remote", at)],
    [say("up.web"), isHere ? say("up.web.text", at) : say("up.web.remote", at)],
    [say("up.chat"), `npx tuneup chat${name}`],
    [say("up.scripts"), isHere ? `eval "$(npx tuneup endpoint${name} --shell)"` : say("up.scripts.remote", at)],
    [say("up.down"), say("up.down.text", { name })],
  ];
}

function printRows(rows: readonly Row[]): void {
  process.stdout.write(`\n${rows.map(([title, text]) => `${padColumns(title, 12)} ${text}`).join("\n")}\n`);
}

async function printUsage(usage: CommandOutput<"usage"> | undefined, host: Host): Promise<void> {
  if (usage === undefined) return;
  const { usageLines } = await import("../../recipe/usage.ts");
  const { dataDirectory: folder, description } = host;
  const where = host.isHere ? say("up.onDisk", { folder }) : say("up.onDisk.remote", { folder, host: description });
  process.stdout.write(`\n${where}\n${usageLines(usage, folder)}\n`);
}
