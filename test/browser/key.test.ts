import type { Browser } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { rotateKey } from "../../agent/endpoints/key.ts";
import type { TestGateway } from "../agent/endpoints/gateway-fixture.ts";
import { openBrowser, openPage, startEndpoint } from "./pages-fixture.ts";

describe("the key", () => {
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

  it("is taken from the fragment and stays in this tab's session alone", async () => {
    await using opened = await openPage(browser, endpoint);
    const { page } = opened;
    await page.locator("#question").waitFor();
    expect(page.url()).toBe(`${endpoint.url}/`);
    const read = <T>(expression: string): Promise<T> => page.evaluate<T>(expression);
    expect(await read("JSON.stringify({ ...localStorage })")).toBe("{}");
    expect(await read("document.cookie")).toBe("");
    expect(await read("indexedDB.databases()")).toEqual([]);
    expect(await read("sessionStorage.getItem('tuneup.key')")).toBe(endpoint.apiKey);
    expect(await page.content()).not.toContain(endpoint.apiKey);

    await page.reload();
    await page.locator("#question").waitFor();
    await page.goto("about:blank");
    await page.goBack();
    expect(page.url()).not.toContain("key");
  });

  it("that is wrong is refused in a sentence, and the right one can be entered", async () => {
    await using opened = await openPage(browser, endpoint, { fragment: "#key=tuneup-wrong" });
    const { page } = opened;
    await page.getByRole("alert").filter({ hasText: "not accepted" }).waitFor();
    expect(page.url()).not.toContain("wrong");
    expect(await page.evaluate("sessionStorage.getItem('tuneup.key')")).toBe(null);

    const key = page.getByLabel("API key");
    await key.fill("another-wrong-one");
    await key.press("Enter");
    await page.getByRole("alert").filter({ hasText: "not accepted" }).waitFor();
    await key.fill(endpoint.apiKey);
    await page.getByRole("button", { name: "Open" }).click();
    await page.locator("#question").waitFor();
    expect(await key.isVisible()).toBe(false);
  });

  it("is asked for where there is none, and forgotten on request", async () => {
    await using opened = await openPage(browser, endpoint, { fragment: "" });
    const { page } = opened;
    await page.getByLabel("API key").fill(endpoint.apiKey);
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByRole("button", { name: "Forget the key" }).click();
    await page.getByLabel("API key").waitFor();
    expect(await page.evaluate("sessionStorage.getItem('tuneup.key')")).toBe(null);
    await page.reload();
    await page.getByLabel("API key").waitFor();
  });

  it("that was rotated is asked for anew, and the conversation is still there", async () => {
    await using own = await startEndpoint();
    await using opened = await openPage(browser, own);
    const { page, ask, answers } = opened;
    await ask("Before");
    await answers("done").waitFor();
    const key = await rotateKey(own.fixture.layout.endpoint(own.fixture.experiment).key);
    await ask("After");
    await page.getByRole("alert").filter({ hasText: "rotated" }).waitFor();
    await page.getByLabel("API key").fill(key);
    await page.getByLabel("API key").press("Enter");
    await page.getByText("You said: Before").waitFor();
  });
});
