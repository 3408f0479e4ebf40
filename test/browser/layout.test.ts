import type { Browser } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type TestGateway, until } from "../agent/endpoints/gateway-fixture.ts";
import { openBrowser, openPage, startEndpoint } from "./pages-fixture.ts";

let browser: Browser;
let endpoint: TestGateway;
beforeAll(async () => {
  browser = await openBrowser();
  endpoint = await startEndpoint();
  // The base model is loaded after the experiment's own, and both are asked here.
  await until(async () => /tuneup_model_ready\{model="base"\} 1/.test(await (await endpoint.fetch("/metrics")).text()));
});
beforeEach(() => endpoint.fixture.behave({}));
afterAll(async () => {
  await endpoint.close();
  await browser.close();
});

/** Texts on the page with less contrast than WCAG's AA asks for (4.5, large ones 3). */
const faint = `(() => {
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255, v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const pixel = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = pixel(getComputedStyle(at).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest(".unseen, .skip, :disabled, label:has(:disabled)")) continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(pixel(style.color)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) found.push(node.data.trim() + " " + ratio.toFixed(2));
  }
  return found;
})()`;

describe("the page", () => {
  it("never scrolls sideways on a phone", async () => {
    const long = "x".repeat(300);
    const pieces = [
      `${long}\n\n\`\`\`\n${long}\n\`\`\`\n\n| a | b |\n|---|---|\n| ${long} | ${long} |\n\n[${long}](https://example.com)`,
    ];
    await endpoint.fixture.behave({ pieces });
    await using opened = await openPage(browser, endpoint, { viewport: { width: 360, height: 740 }, isMobile: true });
    const { page, ask, answers } = opened;
    const overflow = (): Promise<number> =>
      page.evaluate<number>(
        "document.documentElement.scrollWidth - innerWidth + document.querySelector('#log').scrollWidth - document.querySelector('#log').clientWidth",
      );
    await page.getByText("Meet demo").waitFor();
    expect(await overflow()).toBe(0);
    await page.getByText("Both", { exact: true }).click();
    await ask(long);
    await answers("done").nth(1).waitFor();
    expect(await overflow()).toBe(0);
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByRole("img", { name: "in 24 steps" }).waitFor();
    await page.getByText("Config").click();
    const panel = page.locator("#run");
    expect(
      await page.evaluate("document.querySelector('#run').scrollWidth - document.querySelector('#run').clientWidth"),
    ).toBe(0);
    expect(await overflow()).toBe(0);
    await page.getByRole("button", { name: "Close" }).click();
    expect(await panel.isVisible()).toBe(false);
  });

  it.each(["light", "dark"] as const)("has texts that can be read (%s)", async (colorScheme) => {
    await endpoint.fixture.behave({
      pieces: ["Text, `code`, [link](https://example.com)\n\n> quote\n\n| a |\n|---|\n| b |"],
    });
    await using opened = await openPage(browser, endpoint, { colorScheme, reducedMotion: "reduce" });
    const { page, ask, answers } = opened;
    await page.getByText("Meet demo").waitFor();
    expect(await page.evaluate(faint)).toEqual([]);
    await page.getByText("Both", { exact: true }).click();
    await ask("Question");
    await answers("done").nth(1).waitFor();
    expect(await page.evaluate(faint)).toEqual([]);
    await page.getByRole("button", { name: "Settings" }).click();
    expect(await page.evaluate(faint)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Forget the key" }).click();
    expect(await page.evaluate(faint)).toEqual([]);
  });

  it("works by keyboard alone, and shows where the focus is", async () => {
    await using opened = await openPage(browser, endpoint);
    const { page, answers } = opened;
    await page.locator("#question:focus").waitFor();
    await page.keyboard.type("By keyboard");
    await page.keyboard.press("Tab");
    // In the choice of models: the arrows change it.
    await page.keyboard.press("ArrowRight");
    await page.getByRole("radio", { name: "base", checked: true }).waitFor();
    await page.keyboard.press("Tab");
    const outline = "getComputedStyle(document.activeElement).outlineStyle + ' ' + document.activeElement.id";
    expect(await page.evaluate(outline)).toBe("solid send");
    await page.keyboard.press("Enter");
    await answers("done").waitFor();
    expect(await answers().getAttribute("data-model")).toBe("base");
    const settings = page.getByRole("button", { name: "Settings" });
    await settings.focus();
    await page.keyboard.press("Enter");
    await page.getByLabel("System prompt").waitFor();
    await page.keyboard.press("Escape");
    await page.getByLabel("System prompt").waitFor({ state: "hidden" });
    expect(await page.evaluate("document.activeElement.id")).toBe("open-settings");
  });

  it("speaks Chinese to a Chinese browser", async () => {
    await using opened = await openPage(browser, endpoint, { locale: "zh-CN" });
    const { page, ask, answers } = opened;
    await page.getByText("认识一下 demo").waitFor();
    expect(await page.evaluate("document.documentElement.lang")).toBe("zh-CN");
    await page.getByRole("button", { name: "设置" }).waitFor();
    await ask("你是谁？");
    await answers("done").waitFor();
    expect(await page.locator("body").innerText()).toContain("You said: 你是谁？");
  });
});
