import { pause, type Waiting } from "./aws-machine.ts";
import { valuesIn } from "./remote-bootstrap.ts";

/** Is the machine about to go on with what another was told? */
const lookScript = `echo "resume $(systemctl show -p ActiveState --value tuneup-resume.service 2>/dev/null || true)"
echo "tuneup end"
`;

/**
 * Waits while a machine that took another's place goes on by itself: what is asked of it before that would find no run. One that can't go on is not waited
 * for. Throws Fault `cancelled`, and those of the way to it.
 */
export async function awaitResumed(
  link: { script(script: string): Promise<string> },
  id: string,
  waiting: Waiting,
): Promise<void> {
  for (;;) {
    const { resume } = valuesIn(await link.script(lookScript));
    if (resume !== "activating") return;
    waiting.tell(`${id} took another machine's place and prepares what that one had`);
    await pause(waiting);
  }
}
