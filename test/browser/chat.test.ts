import type { Browser } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestGateway, until } from "../agent/endpoints/gateway-fixture.ts";
import { openBrowser, openPage, startEndpoint } from "./pages-fixture.ts";

let browser: Browser;
let endpoint: TestGateway;
beforeAll(async () => {
  browser = await openBrowser();
  endpoint = await startEndpoint();
});
beforeEach(() => endpoint.fixture.behave({}));
afterAll(async () => {
  await endpoint.close();
  await browser.close();
});

const asked = (): Record<string, unknown>[] =>
  endpoint.fixture.journal().flatMap((entry) => (entry.event === "asked" ? [entry.body] : []));

describe("an answer", () => {
  it("appears piece by piece", async () => {
    const pieces = ["One ", "two ", "three ", "four ", "five ", "six."];
    await endpoint.fixture.behave({ pieces, pieceDelay: 60 });
    await using opened = await openPage(browser, endpoint);
    const { page, ask, answers } = opened;
    await page.evaluate(`
      globalThis.seen = new Set();
      new MutationObserver(() => {
        const text = document.querySelector(".answer .text")?.textContent.trim();
        if (text) globalThis.seen.add(text);
      }).observe(document.querySelector("#turns"), { childList: true, subtree: true, characterData: true });
    `);
    await ask("Count");
    await answers("done").waitFor();
    const seen = await page.evaluate<string[]>("[...globalThis.seen]");
    expect(seen.length).toBeGreaterThanOrEqual(3);
    expect(seen.every((text) => pieces.join("").startsWith(text))).toBe(true);
    expect(await answers().getAttribute("aria-busy")).toBe("false");
    await page.getByText("6 tokens").waitFor();
  });

  it.each(["button", "Escape"] as const)("ends by %s, at the engine, too", async (how) => {
    await endpoint.fixture.behave({ pieces: Array.from({ length: 400 }, (_, index) => `w${index} `), pieceDelay: 30 });
    await using opened = await openPage(browser, endpoint);
    const { page, ask, answers } = opened;
    const cuts = (): number => endpoint.fixture.journal().filter(({ event }) => event === "cut").length;
    const before = cuts();
    await ask("Go on for ever");
    await page.getByText("w3").waitFor();
    if (how === "button") await page.getByRole("button", { name: "Stop" }).click();
    else await page.keyboard.press("Escape");
    await answers("stopped").waitFor();
    expect(await answers().innerText()).toMatch(/w0 w1 w2/);
    await until(() => cuts() > before);
    await page.getByRole("button", { name: "Send" }).waitFor();
  });

  it("keeps what came when the engine dies, says so, and can be asked for again", async () => {
    await using own = await startEndpoint({
      behaviour: { pieces: ["Half ", "an ", "answer"], crashAfter: 2, pieceDelay: 30 },
    });
    await using opened = await openPage(browser, own);
    const { page, ask, answers } = opened;
    await ask("Hello?");
    await answers("failed").waitFor();
    expect(await answers().locator(".text").innerText()).toBe("Half an");
    expect(await page.getByRole("alert").innerText()).toMatch(/^The model can't answer now\. .*engine/);
    await own.fixture.behave({ pieces: ["Whole."] });
    await until(async () => (await fetch(`${own.url}/readyz`)).ok);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("Whole.").waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
  });

  it("that is refused with 429 says when to try again", async () => {
    const limits = { requestsPerMinute: 1, queue: 1, bodyBytes: 100_000, maxTokens: 100 };
    await using own = await startEndpoint({ spec: { limits } });
    await using opened = await openPage(browser, own);
    const { page, ask, answers } = opened;
    await ask("One");
    await answers("done").waitFor();
    await ask("Two");
    await answers("failed").waitFor();
    expect(await page.getByRole("alert").innerText()).toMatch(/^Too many requests\. More than 1 requests a minute/);
    const again = page.getByRole("button", { name: /Try again in \d+ s/ });
    expect(await again.isDisabled()).toBe(true);
  });

  it("can do no harm with HTML", async () => {
    const attack = [
      '<img src=x onerror="globalThis.broken=1"> <script>globalThis.broken=2</script>',
      "[link](javascript:globalThis.broken=3) ![pixel](https://example.com/pixel.png)",
      '<a href="javascript:globalThis.broken=4" onclick="globalThis.broken=5">click</a> <iframe src="https://example.com"></iframe>',
      "<style>body{display:none}</style><form action='https://example.com'><input name=key></form>",
      '<svg><a xlink:href="javascript:globalThis.broken=6"><text>x</text></a></svg> <div style="position:fixed" id="composer">over</div>',
      "**bold** and [fine](https://example.com/page)",
    ].join("\n\n");
    await endpoint.fixture.behave({ pieces: attack.split(/(?<=[ >])/) });
    await using opened = await openPage(browser, endpoint);
    const { page, ask, answers } = opened;
    await ask("Attack");
    await answers("done").waitFor();
    const text = answers().locator(".text");
    const harmful =
      "img, script, iframe, form, input, style, svg, [style], [id], [onclick], [onerror], a[href^=javascript]";
    expect(await text.locator(harmful).count()).toBe(0);
    for (const link of await text.locator("a").all()) {
      if ((await link.getAttribute("href")) === null) await link.click();
    }
    expect(await page.evaluate("globalThis.broken")).toBe(undefined);
    const fine = text.getByRole("link", { name: "fine" });
    expect(await fine.getAttribute("href")).toBe("https://example.com/page");
    expect(await fine.getAttribute("rel")).toContain("noopener");
    expect(await text.locator("strong").innerText()).toBe("bold");
    // HTML is text like any other, and a picture a link to it.
    expect(await text.innerText()).toContain("<script>globalThis.broken=2</script>");
    expect(await text.getByRole("link", { name: "pixel" }).getAttribute("href")).toBe("https://example.com/pixel.png");
  });
});

describe("a question", () => {
  it("is sent by Enter; Shift+Enter begins a new line", async () => {
    await using opened = await openPage(browser, endpoint);
    const { page, answers } = opened;
    const question = page.getByLabel("Your question");
    await question.pressSequentially("first");
    await question.press("Shift+Enter");
    await question.pressSequentially("second");
    expect(await question.inputValue()).toBe("first\nsecond");
    await question.press("Enter");
    await answers("done").waitFor();
    expect(asked().at(-1)?.["messages"]).toEqual([{ role: "user", content: "first\nsecond" }]);
    expect(await question.inputValue()).toBe("");
  });

  it("goes to the model that is chosen, or to both side by side", async () => {
    await using opened = await openPage(browser, endpoint);
    const { page, ask, answers } = opened;
    await ask("To the experiment's");
    await answers("done").waitFor();
    await page.getByText("base", { exact: true }).first().click();
    await ask("To the base");
    await answers("done").nth(1).waitFor();
    await page.getByText("Both", { exact: true }).click();
    await ask("To both");
    await answers("done").nth(3).waitFor();
    const models = await Promise.all((await answers().all()).map((answer) => answer.getAttribute("data-model")));
    expect(models).toEqual(["demo", "base", "base", "demo"]);
    // The gateway's log says which engine was asked.
    const lines = endpoint.lines.filter((line) => line.includes("/v1/chat/completions")).slice(-4);
    expect(lines.map((line) => /model=(\w+)/.exec(line)?.[1]).sort()).toEqual(["base", "base", "demo", "demo"]);
    const [left, right] = await Promise.all([answers().nth(2).boundingBox(), answers().nth(3).boundingBox()]);
    expect(left?.y).toBe(right?.y);
    expect(left!.x + left!.width).toBeLessThanOrEqual(right!.x);
  });

  it("carries the conversation, the settings and the system prompt", async () => {
    await using opened = await openPage(browser, endpoint);
    const { page, ask, answers } = opened;
    await page.getByRole("button", { name: "Settings" }).click();
    await page.getByLabel("System prompt").fill("Be brief.");
    await page.getByLabel("Temperature").fill("0");
    await page.getByLabel("Most tokens in an answer").fill("40");
    await page.getByRole("button", { name: "Done" }).click();
    await ask("one");
    await answers("done").waitFor();
    await ask("two");
    await answers("done").nth(1).waitFor();
    expect(asked().at(-1)).toMatchObject({
      temperature: 0,
      max_tokens: 40,
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "one" },
        { role: "assistant", content: "You said: one" },
        { role: "user", content: "two" },
      ],
    });
  });

  it("can be answered again; a reload keeps the conversation, a new chat drops it", async () => {
    await using opened = await openPage(browser, endpoint);
    const { page, ask, answers } = opened;
    await ask("again");
    await page.getByText("You said: again").waitFor();
    await endpoint.fixture.behave({ pieces: ["Something else."] });
    await page.getByRole("button", { name: "Answer again" }).click();
    await page.getByText("Something else.").waitFor();
    expect(await answers().count()).toBe(1);
    await page.reload();
    await page.getByText("Something else.").waitFor();
    await page.getByRole("button", { name: "New chat" }).click();
    await page.getByText("Meet demo").waitFor();
    expect(await answers().count()).toBe(0);
    await page.reload();
    await page.getByText("Meet demo").waitFor();
  });

  it("and its answer can be copied as the model wrote it", async () => {
    await endpoint.fixture.behave({ pieces: ["**bold** text"] });
    await using opened = await openPage(browser, endpoint, { permissions: ["clipboard-read", "clipboard-write"] });
    const { page, ask } = opened;
    await ask("Copy me");
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe("**bold** text");
  });
});
