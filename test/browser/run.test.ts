import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunView } from "../../recipe/protocol.ts";
import { metricsOf, openBrowser, openPage, startEndpoint } from "./pages-fixture.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(() => browser.close());

/** How many pixels of the page's first canvas have nearly the colour of this CSS variable. */
const inked = (variable: string): string => `(() => {
  const drawn = document.querySelector(".curve canvas");
  const canvas = new OffscreenCanvas(drawn.width, drawn.height);
  const pencil = canvas.getContext("2d", { willReadFrequently: true });
  pencil.drawImage(drawn, 0, 0);
  const wanted = getComputedStyle(document.documentElement).getPropertyValue("${variable}").trim();
  const parts = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
  const { data } = pencil.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4)
    if (data[at + 3] > 200 && parts.every((part, index) => Math.abs(part - data[at + index]) < 24)) count++;
  return count;
})()`;

describe("the run", () => {
  it.each(["light", "dark"] as const)(
    "is shown with its curve, result, artifacts and config (%s)",
    async (colorScheme) => {
      await using endpoint = await startEndpoint();
      await using opened = await openPage(browser, endpoint, { colorScheme });
      const { page } = opened;
      await page.getByRole("img", { name: "Loss from 1.86 to 0.2485 in 24 steps" }).waitFor();
      expect(await page.evaluate<number>(inked("--accent"))).toBeGreaterThan(300);
      expect(await page.evaluate<number>(inked("--second"))).toBeGreaterThan(100);
      const panel = page.getByRole("complementary", { name: "Run" });
      await panel.getByText("Complete", { exact: true }).waitFor();
      await panel.getByText("Artifacts", { exact: true }).click();
      await panel.getByText("Config").click();
      const row = (name: string) => panel.getByRole("row", { name });
      expect(await row("adapter_model.safetensors").innerText()).toMatch(/7 B/);
      expect(await row("train.learning_rate").innerText()).toMatch(/0\.001/);
      expect(await row("Training time").innerText()).toMatch(/0:42/);
    },
  );

  it("shows its progress while it trains, and the chat opens when it is ready", async () => {
    await using endpoint = await startEndpoint({ training: true });
    await using opened = await openPage(browser, endpoint);
    const { page, ask, answers } = opened;
    const notice = page.locator("#notice");
    await notice.getByText("step 12 of 24 · 0:21 left").waitFor();
    expect(await notice.getByRole("progressbar").getAttribute("value")).toBe("0.5");
    await page.getByText("Training 50 %").waitFor();
    await page.getByLabel("Your question").fill("Too early");
    expect(await page.getByRole("button", { name: "Send" }).isDisabled()).toBe(true);

    await endpoint.fixture.writeMetrics(metricsOf(18));
    await endpoint.fixture.trainRun({ step: 18, loss: 0.41, secondsLeft: 9 });
    await notice.getByText("step 18 of 24 · Loss 0.41 · 0:09 left").waitFor();
    await page.getByRole("img", { name: "in 18 steps" }).waitFor();

    await endpoint.fixture.completeRun();
    await notice.waitFor({ state: "hidden" });
    await page.getByText("Ready", { exact: true }).first().waitFor();
    expect(await page.getByLabel("Your question").inputValue()).toBe("Too early");
    await ask("Now");
    await answers("done").waitFor();
  });

  it("that failed says why and what to do", async () => {
    await using endpoint = await startEndpoint({
      training: true,
      prepare: (fixture) =>
        fixture.trainRun({
          state: "failed",
          fault: { code: "loss-nan", message: "The loss is not a number.", next: "Lower train.learning_rate." },
        }),
    });
    await using opened = await openPage(browser, endpoint);
    const notice = opened.page.locator("#notice");
    await notice.getByText("The loss is not a number. Lower train.learning_rate.").waitFor();
  });

  it("without a base model says why there is none", async () => {
    await using endpoint = await startEndpoint({ spec: { base: "no" } });
    await using opened = await openPage(browser, endpoint);
    const { page } = opened;
    const view = (await (await endpoint.fetch("/api/run")).json()) as RunView;
    const reason = view.endpoint.baseRefused!.replaceAll("`", "");
    await page.getByText(`base is not served: ${reason}`).waitFor();
    expect(await page.getByRole("radio", { name: "base" }).isDisabled()).toBe(true);
    expect(await page.getByRole("radio", { name: "Both" }).isDisabled()).toBe(true);
  });

  it("says that the endpoint is gone, and goes on when it is back", async () => {
    await using endpoint = await startEndpoint({ training: true });
    await using opened = await openPage(browser, endpoint);
    const { page, faults } = opened;
    await page.getByText("Training 50 %").waitFor();
    await page.route("**/api/run", (route) => route.abort());
    await page.getByText("Not reachable").first().waitFor();
    await page.unroute("**/api/run");
    await page.getByText("Training 50 %").waitFor();
    // The browser's own lines about the requests that we broke.
    faults.splice(0, faults.length, ...faults.filter((line) => !line.includes("net::ERR_FAILED")));
  });
});
