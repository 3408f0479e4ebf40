import { Fault } from "../recipe/fault.ts";
import { readyLine } from "../recipe/aws/user-data.ts";
import { endOf, pause, type Waiting } from "./aws-machine.ts";
import { valuesIn } from "./remote-bootstrap.ts";

/** What the first start of a machine writes its steps to. */
const log = "/var/log/cloud-init-output.log";

/** How far the first start is, by cloud-init and by what our steps said. */
const lookScript = `log=\${TUNEUP_BOOT_LOG:-${log}}
if command -v cloud-init >/dev/null 2>&1; then status=$(cloud-init status 2>/dev/null | sed -n 's/^status: *//p' | head -n 1)
else status=absent; fi
echo "status \${status:-unknown}"
echo "step $(grep -a '^tuneup: ' "$log" 2>/dev/null | tail -n 1 | sed 's/^tuneup: //')"
case $status in error*) tail -n 5 "$log" 2>/dev/null | sed 's/^/log /' ;; esac
echo "tuneup end"
`;

/** Runs a script on the machine. */
interface Scripts {
  script(script: string): Promise<string>;
}

/**
 * Waits until the first start of a machine is over. Throws Fault `boot-failed` with the end of its own log, `boot-slow`, and those of the way
 * to it.
 */
export async function awaitBoot(link: Scripts, id: string, waiting: Waiting): Promise<void> {
  const { timing, tell } = waiting;
  const began = performance.now();
  for (;;) {
    const said = await link.script(lookScript);
    const { status = "unknown", step = "" } = valuesIn(said);
    if (step === readyLine) return;
    if (status === "error") throw bootFailed(id, said, step);
    if (!/^(running|not started|not run)/.test(status)) return;
    if (performance.now() - began > timing.patience) throw bootSlow(id, step, timing.patience);
    tell(`the first start of ${id}: ${step === "" ? `cloud-init is ${status}` : step}`);
    await pause(waiting);
  }
}

function bootFailed(id: string, said: string, step: string): Fault {
  const lines = said.split("\n").flatMap((line) => (line.startsWith("log ") ? [line.slice(4)] : []));
  const shown = endOf(lines) ?? (step === "" ? "it has none." : step);
  return new Fault({
    code: "boot-failed",
    property: "aws",
    message: `The first start of ${id} failed. The end of its log: ${shown}`,
    next: `The whole is in ${log} there; \`npx tuneup down\` ends the machine, its lease ends it in any case.`,
    blame: "infrastructure",
  });
}

function bootSlow(id: string, step: string, patience: number): Fault {
  return new Fault({
    code: "boot-slow",
    property: "aws",
    message: `The first start of ${id} is not over after ${Math.round(patience / 60_000)} minutes; its last step: ${step || "none yet"}.`,
    next: "Run this again to go on waiting; its lease ends it in any case.",
    blame: "infrastructure",
  });
}
