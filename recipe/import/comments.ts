import { redact } from "../redact.ts";

/** Lines with what looks like a secret in their comments blanked. */
export interface BlankedComments {
  readonly text: string;
  /** How many comments lost a value. */
  readonly blanked: number;
}

/** Takes secrets out of YAML comments: a stack file is committed, and a commented token is as good as any other. Values stay as they are. */
export function blankSecrets(text: string): BlankedComments {
  let blanked = 0;
  const lines = text.split("\n").map((line) => {
    const start = /(^|\s)#/.exec(line)?.index;
    if (start === undefined) return line;
    const comment = line.slice(start);
    const clean = redact(comment, { secrets: [], paths: {} }).replaceAll(/(["']?)\[redacted\]\1/g, "");
    if (clean === comment) return line;
    blanked += 1;
    return `${line.slice(0, start)}${clean}`.trimEnd();
  });
  return { text: lines.join("\n"), blanked };
}
