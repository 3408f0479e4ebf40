import type { Command } from "commander";
import { Fault } from "../../recipe/fault.ts";
import type { EndpointFacts } from "../../recipe/protocol.ts";
import { say } from "../language/say.ts";
import { defaultExperiment } from "../project.ts";

/** `tuneup chat`: a conversation in the terminal. */
export function register(program: Command): void {
  program
    .command("chat")
    .argument("[experiment]", say("help.experiment"), defaultExperiment)
    .option("--base", say("chat.help.base"))
    .option("--system <text>", say("chat.help.system"))
    .option("--temperature <number>", say("chat.help.temperature"))
    .description(say("chat.help"))
    .action(chat);
}

interface ChatOptions {
  readonly base?: boolean;
  readonly system?: string;
  readonly temperature?: string;
}

async function chat(experiment: string, { base = false, system, temperature }: ChatOptions): Promise<void> {
  requireTemperature(temperature);
  const { atEndpoint } = await import("./endpoint.ts");
  const { Conversation } = await import("../conversation.ts");
  await atEndpoint(experiment, async ({ facts }) => {
    const model = base ? "base" : experiment;
    requireServed(model, facts);
    await new Conversation({
      endpoint: facts,
      model,
      ...(system === undefined ? {} : { system }),
      ...(temperature === undefined ? {} : { temperature: Number(temperature) }),
    }).run();
  });
}

function requireTemperature(temperature: string | undefined): void {
  if (temperature === undefined || (Number(temperature) >= 0 && Number(temperature) <= 2)) return;
  throw new Fault({
    code: "option-value",
    property: "--temperature",
    message: `must be a number from 0 to 2, got ${JSON.stringify(temperature)}.`,
  });
}

function requireServed(model: string, { models, status }: EndpointFacts): void {
  if (models.includes(model)) return;
  const reason = status.baseRefused ?? status.detail ?? `it serves ${models.join(", ")}`;
  throw new Fault({ code: "model-unserved", message: `${model} is not served: ${reason}` });
}
