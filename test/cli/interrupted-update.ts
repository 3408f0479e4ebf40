import { Display } from "../../cli/display.ts";
import { interruptSignal } from "../../cli/interrupt.ts";
import { runToEnd } from "../../cli/pulumi-command.ts";
import { withDisplay } from "../../cli/update.ts";
import { asFault } from "../../recipe/fault.ts";

/** `node interrupted-update.ts COMMAND WORDS`: an update whose engine is this command; ends as tuneup does. */
const [command = "", ...words] = process.argv.slice(2);
const relay = (text: string): void => void process.stdout.write(text);
try {
  await withDisplay(
    ({ signal }) => runToEnd(command, words, process.cwd(), {}, relay, undefined, signal),
    new Display(),
    "interrupting",
    interruptSignal(),
  );
} catch (thrown) {
  const { code } = asFault(thrown);
  process.stdout.write(`${code}\n`);
  process.exitCode = code === "cancelled" ? 130 : 1;
}
