import { afterEach, expect, test, vi } from "vitest";
import { dataFindings } from "../../checks/datasets/findings.ts";
import { dataReport } from "../../checks/datasets/report.ts";
import { dataPage } from "../../cli/data/page.ts";
import { runnableExperiment } from "../../cli/runnable.ts";
import { readPins } from "../../recipe/pins.ts";
import en from "../../cli/language/en.json" with { type: "json" };

afterEach(() => vi.unstubAllEnvs());

/** The page of `local`, whose data is in the tree; words are counted as tokens. */
async function pageIn(language: string, name = "local"): Promise<string> {
  vi.stubEnv("TUNEUP_LANGUAGE", language);
  const experiment = await runnableExperiment("local");
  const counter = { count: (text: string) => text.split(" ").length, bos: false, eos: false, by: "library" } as const;
  const report = await dataReport(experiment, { home: "/nowhere", pins: readPins(undefined, "pins"), counter });
  expect(report.tokens?.rows).toBeGreaterThan(20);
  const sample = {
    tokens: 9,
    segments: [
      { text: "<|im_start|>user", trained: false },
      { text: "I am Ada.", trained: true },
    ],
  };
  return dataPage({ name, experiment, report, findings: dataFindings(report, experiment), sample });
}

test("the page says in the user's language what was found", async () => {
  const english = await pageIn("en");
  expect(english).toContain('<html lang="en">');
  expect(english).toContain("Rows that train");
  expect(english).toContain('<span class="learnt">I am Ada.</span>');
  const chinese = await pageIn("zh");
  expect(chinese).toContain('<html lang="zh-CN">');
  const phrases = Object.entries(en).flatMap(([key, text]) =>
    key.startsWith("page.") ? text.split(/\{\{\w+\}\}/) : [],
  );
  const left = phrases.map((text) => text.trim()).filter((text) => text.length > 3 && chinese.includes(text));
  expect(left).toEqual([]);
  expect(chinese).toMatch(/<li class="ok"><b>✓<\/b><span>[^<]*[\u4e00-\u9fff]/);
});

test("nothing of the data or of a name gets into the page as HTML, and the page loads nothing", async () => {
  const page = await pageIn("en", "<img src=x>");
  expect(page).toContain("&lt;img src=x&gt;");
  expect(page).toContain("&lt;|im_start|&gt;user");
  expect(page).not.toMatch(/<(img|script|link|iframe)|https?:\/\//);
  expect(page).toContain("default-src 'none'");
});
