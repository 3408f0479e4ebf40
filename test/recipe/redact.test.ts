import fc from "fast-check";
import { expect, test } from "vitest";
import { plainAddresses, redact, withoutExamples } from "../../recipe/redact.ts";

const nothing = { secrets: [], paths: {} };

test.each([
  ["a field of JSON", '{"apiKey": "canary value, with blanks"}'],
  ["a field of YAML", "  tuneup:hubToken: canary-value"],
  ["a secure value of a stack", "    secure: v1:canary:canary"],
  ["a stack's salt", "encryptionsalt: v1:canary=:v1:canary"],
  ["an assignment", "export HF_TOKEN='canary'"],
  ["a signed address", "https://bucket.s3.amazonaws.com/a.json?X-Amz-Expires=1&X-Amz-Signature=canary"],
  ["a header", "Authorization: Bearer canary.canary"],
  ["a URL", "https://user:canary@example.com/simple"],
  ["a query", "https://example.com/a?access_token=canary&x=1"],
  ["a Pulumi token", `pul-${"ab12".repeat(8)}`],
])("%s loses its secret without being told it", (_name, text) => {
  const result = redact(text, nothing);
  expect(result).not.toContain("canary");
  expect(result).not.toContain("ab12");
  expect(result).toContain("[redacted]");
});

test("what only looks like a secret's name stays", () => {
  const text = '{"totalTokens": 512, "tokensPerSecond": 81.5, "max_tokens": 64, "step": 3}';
  expect(redact(text, nothing)).toBe(text);
});

test("paths are shortened, the longest first", () => {
  const paths = { "/home/anna": "~", "/home/anna/.local/share/tuneup": "<data directory>" };
  expect(redact("/home/anna/.local/share/tuneup/runs and /home/anna/x", { secrets: [], paths })).toBe(
    "<data directory>/runs and ~/x",
  );
});

test("a known secret is found wherever it is, also inside JSON and URLs", () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 8, unit: "grapheme-ascii" }),
      fc.string(),
      fc.string(),
      (secret, before, after) => {
        fc.pre(secret.trim() === secret && !"[redacted]".includes(secret));
        const known = { secrets: [secret], paths: {} };
        const texts = [secret, JSON.stringify({ note: secret }), encodeURIComponent(secret)];
        for (const text of texts) expect(redact(`${before} ${text} ${after}`, known)).not.toContain(` ${secret} `);
        expect(redact(JSON.stringify({ note: secret }), known)).not.toContain(JSON.stringify(secret).slice(1, -1));
      },
    ),
  );
});

test("the example of the dataset that LLaMA-Factory prints is left out, the log around it stays", () => {
  const log = [
    "[INFO|2026-11-23 21:00:00] loading",
    "training example:",
    "input_ids:",
    "[1, 2, 3]",
    "inputs:",
    "<|im_start|>user",
    "canary",
    "labels:",
    "canary",
    "[INFO|2026-11-23 21:00:01] ***** Running training *****",
    "  4%|4         | 1/24",
  ];
  const result = withoutExamples(log.join("\n"));
  expect(result).not.toContain("canary");
  expect(result).toContain("loading");
  expect(result).toContain("Running training");
  expect(result).toContain("1/24");
});

test("an address is said without query and password, but with the file that ModelScope names there", () => {
  const text =
    "403 for 'https://me:canary@cdn.example/a/b.bin?Signature=canary' (http://h:80/repo?Source=SDK&FilePath=x.json)";
  expect(plainAddresses(text)).toBe("403 for 'https://cdn.example/a/b.bin' (http://h/repo?FilePath=x.json)");
});
