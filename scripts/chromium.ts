import { type Browser, chromium } from "playwright-core";
import { Fault } from "../recipe/fault.ts";
import { findProgram } from "./programs.ts";
import needs from "./test-packages.json" with { type: "json" };

const browser = needs.find(({ groups }) => groups.includes("browser"));

/** Headless Chromium that asks nobody anything on its own. Throws Fault `chromium-missing`. */
export function openChromium(): Promise<Browser> {
  const anyOf = browser?.anyOf ?? [];
  // Where a PATH that was made for a test lacks them.
  const path = `${process.env["PATH"] ?? ""}:/usr/local/bin:/usr/bin`;
  const executablePath = findProgram({ anyOf, answers: ["--version"] }, path);
  if (executablePath === undefined) {
    throw new Fault({
      code: "chromium-missing",
      message: `None of ${anyOf.join(", ")} is on PATH and answers \`--version\`.`,
      next: `Install one: \`apt-get install chromium\` (\`npm test\` does so where it is root). ${browser?.otherwise ?? ""}`.trim(),
      blame: "infrastructure",
    });
  }
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
