import { existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { Command } from "commander";
import { asFault } from "../recipe/fault.ts";
import { homeOf } from "../recipe/home.ts";
import manifest from "../package.json" with { type: "json" };
import { register as adopt } from "./commands/adopt.ts";
import { register as audit } from "./commands/audit.ts";
import { register as chat } from "./commands/chat.ts";
import { register as data } from "./commands/data.ts";
import { register as check } from "./commands/check.ts";
import { register as doctor } from "./commands/doctor.ts";
import { register as down } from "./commands/down.ts";
import { register as endpoint } from "./commands/endpoint.ts";
import { register as env } from "./commands/env.ts";
import { register as fetch } from "./commands/fetch.ts";
import { register as importFiles } from "./commands/import.ts";
import { register as logs } from "./commands/logs.ts";
import { register as begin } from "./commands/new.ts";
import { register as preview } from "./commands/preview.ts";
import { register as render } from "./commands/render.ts";
import { register as set } from "./commands/set.ts";
import { register as setup } from "./commands/setup.ts";
import { register as resume } from "./commands/resume.ts";
import { register as stop } from "./commands/stop.ts";
import { register as status } from "./commands/status.ts";
import { register as up } from "./commands/up.ts";
import { register as webui } from "./commands/webui.ts";
import { languageOf, requireLanguage } from "./language/locale.ts";
import { faultText } from "./language/faults.ts";
import { say, type TextKey } from "./language/say.ts";
import { takeFoundHome } from "./notebook/mounts.ts";

/**
 * The `tuneup` command. Each subcommand is a file in commands/ that exports `register(program)`, declares its arguments
 * there and imports what it works with inside its action: `tuneup --help` stays instant. An action throws Fault.
 */
const registers = [
  up,
  check,
  preview,
  status,
  logs,
  stop,
  resume,
  chat,
  endpoint,
  fetch,
  down,
  audit,
  adopt,
  setup,
  doctor,
  env,
  data,
  importFiles,
  begin,
  set,
  render,
  webui,
];

/** Headings of a help text in the user's language. */
const headings: Readonly<Record<string, TextKey>> = {
  "Usage:": "help.usage",
  "Arguments:": "help.arguments",
  "Options:": "help.options",
  "Commands:": "help.commands",
};

function styleTitle(title: string): string {
  const key = headings[title];
  return key === undefined ? title : say(key);
}

const program = new Command("tuneup")
  .description(say("help.description"))
  .version(manifest.version, "-V, --version", say("help.version"))
  .helpOption("-h, --help", say("help.help"))
  .helpCommand("help [command]", say("help.help"))
  .showSuggestionAfterError()
  .showHelpAfterError(say("help.after"))
  .configureHelp({ styleTitle });
for (const register of registers) register(program);

// Who reads us has enough (`| head`): nobody is left to tell anything.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

try {
  requireLanguage(process.env);
  takeFoundHome();
  const home = homeOf(process.env);
  // To compile the Automation API takes a third of a second each time. The folder is made by what owns it, never here.
  // Not the programs' folder: Pulumi's SDK changes V8's flags there, and V8 takes compiled code only from the same flags.
  if (existsSync(home)) enableCompileCache(`${home}/cache/node/cli`);
  await program.parseAsync();
} catch (thrown) {
  const fault = asFault(thrown);
  process.stderr.write(`${faultText(fault, languageOf(process.env))}\n`);
  if (fault.blame === "bug" && thrown instanceof Error) process.stderr.write(`${thrown.stack ?? ""}\n`);
  process.exitCode = fault.code === "cancelled" ? 130 : 1;
}
