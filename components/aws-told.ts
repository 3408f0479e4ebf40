import { RunError } from "../provider/pulumi.ts";
import { refusalFault, refusalIn } from "../recipe/aws/refusals.ts";

/** What AWS refused, in a sentence: an invoke's error is a stack of frames. */
export async function told<T>(what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const refused = refusalFault(message);
    if (refused !== undefined && refused.code !== "aws-refused") throw new RunError(`tuneup:${refused.sentence}`);
    const why = reasonOf(message);
    throw new RunError(
      `AWS did not tell ${what}: ${why} Check credentials and region (\`aws sts get-caller-identity\`); docs/aws.md says what they must allow.`,
    );
  }
}

/** Most characters of what AWS says. */
const longest = 400;

/** Of an invoke's error, what AWS said: the engine and the provider put their frames around it, over several lines. */
function reasonOf(message: string): string {
  const refusal = refusalIn(message);
  if (refusal !== undefined) return `${refusal.code}: ${refusal.said}`;
  const said = message
    .replace(/^[^]*?returned an error: /, "")
    .replace(/^invoking \S+: /, "")
    .replace(/^\d+ errors? occurred:/, "")
    .replace(/\s*\n\s*(\* )?/g, " ")
    .trim()
    .slice(0, longest);
  return /[.!?]$/.test(said) ? said : `${said}.`;
}
