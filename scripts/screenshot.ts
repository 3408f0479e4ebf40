import type { Page } from "playwright-core";
import { Fault } from "../recipe/fault.ts";
import { openChromium } from "./chromium.ts";

/**
 * `OPENAI_API_KEY=... node scripts/screenshot.ts URL OUT.png [QUESTION ...]`: asks a live endpoint, both models where both
 * are served, waits for the answers and takes a picture of the page with the run's curve beside them. `npx tuneup
 * endpoint --shell` prints the key's variable; TUNEUP_SCHEME=dark takes the dark page.
 */
const patience = 300_000;

async function ask(page: Page, question: string, index: number): Promise<void> {
  await page.locator("#question").fill(question);
  await page.locator("#question").press("Enter");
  const answers = page.locator(".turn").nth(index).locator(".answer");
  for (const answer of await answers.all()) {
    await answer.and(page.locator("[aria-busy=false]")).waitFor({ timeout: patience });
    const state = await answer.getAttribute("data-state");
    if (state === "done") continue;
    const reason = await answer.locator(".failure").innerText();
    throw new Fault({
      code: "not-answered",
      message: `${question} was not answered: ${reason}`,
      blame: "infrastructure",
    });
  }
}

async function takePicture(url: string, key: string, file: string, questions: readonly string[]): Promise<void> {
  const browser = await openChromium();
  try {
    const colorScheme = process.env["TUNEUP_SCHEME"] === "dark" ? "dark" : "light";
    const page = await browser.newPage({
      viewport: { width: 1360, height: 800 },
      deviceScaleFactor: 2,
      colorScheme,
      locale: "en-US",
    });
    const address = new URL(url);
    await page.goto(`${address.origin}/#key=${encodeURIComponent(key)}`);
    const refused = page.locator("#key-fault:not([hidden])");
    const ready = page.locator("#state[data-tone=good]");
    await refused.or(ready).waitFor({ timeout: patience });
    if (await refused.isVisible()) throw new Fault({ code: "key-refused", message: await refused.innerText() });
    const both = page.locator("#choice label:has(input[value=both]:enabled)");
    if ((await both.count()) > 0) await both.click();
    for (const [index, question] of questions.entries()) await ask(page, question, index);
    await page.locator(".curve canvas").waitFor();
    // The pointer shows no tooltip and the caret does not blink in the picture.
    await page.mouse.move(0, 0);
    await page.screenshot({ path: file, animations: "disabled", caret: "hide" });
  } finally {
    await browser.close();
  }
}

const [url, file, ...questions] = process.argv.slice(2);
const key = process.env["OPENAI_API_KEY"];
try {
  if (url === undefined || file === undefined || key === undefined) {
    throw new Fault({
      code: "usage",
      message: "Usage: OPENAI_API_KEY=... node scripts/screenshot.ts URL OUT.png [QUESTION ...]",
      next: "`npx tuneup endpoint --shell` prints the key.",
    });
  }
  await takePicture(
    url,
    key,
    file,
    questions.length > 0 ? questions : ["Who are you?", "What is the capital of France?"],
  );
  process.stdout.write(`${file}\n`);
} catch (thrown) {
  if (!(thrown instanceof Fault)) throw thrown;
  process.stderr.write(`${thrown.sentence}\n`);
  process.exitCode = 1;
}
