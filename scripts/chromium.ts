import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { Fault } from "../recipe/fault.ts";

const programs = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Headless Chromium that asks nobody anything on its own. Throws Fault `chromium-missing`. */
export function openChromium(): Promise<Browser> {
  const executablePath = programs.find((path) => existsSync(path));
  if (executablePath === undefined) {
    throw new Fault({
      code: "chromium-missing",
      message: `There is no Chromium at ${programs.join(", ")}.`,
      next: "Install it: `apt-get install chromium` (`npm test` does so where it is root).",
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
