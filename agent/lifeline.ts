import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { z } from "zod";

const opening = z.object({ input: z.unknown(), environment: z.record(z.string(), z.string()) });

/** A caller that said nothing for so long is gone, or its connection is; the variable is for tests. Callers speak every 5 s. */
const patience = Number(process.env["TUNEUP_LIFELINE_MS"]) || 45_000;

/** The whole of stdin, from a caller on this machine. */
export async function readInput(): Promise<unknown> {
  return JSON.parse(await text(process.stdin)) as unknown;
}

/**
 * The input from a caller on another machine: the first line of stdin, with variables that hold for us. Every further line says
 * that the caller is there. `onLost` is called where they cease: a connection that broke tells nobody.
 */
export function readRemoteInput(onLost: () => void): Promise<unknown> {
  const lines = createInterface({ input: process.stdin });
  let silence: NodeJS.Timeout | undefined;
  return new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      if (silence === undefined) {
        try {
          const { input, environment } = opening.parse(JSON.parse(line));
          Object.assign(process.env, environment);
          resolve(input);
        } catch (thrown) {
          reject(new Error("The first line of stdin is no input.", { cause: thrown }));
        }
      }
      clearTimeout(silence);
      silence = setTimeout(onLost, patience);
      silence.unref();
    });
    lines.once("close", () => {
      onLost();
      reject(new Error("stdin ended before its first line."));
    });
  });
}
