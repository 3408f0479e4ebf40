import { expect, test } from "vitest";
import { configOf, imported, least, said } from "./importing.ts";

const text = [
  `${least}dataset: identity`,
  "# hf_hub_token: hf_secret123",
  "# export HF_TOKEN=hf_AbCdEfGhIjKlMnOpQrSt",
  "# max_new_tokens: 512",
  'bf16: true # swanlab_api_key: "abcdef"; slow',
  "learning_rate: 1.0e-4 # plain",
  "",
].join("\n");

test("a secret in a comment does not get into the stack file, and that is said", () => {
  const result = imported(text);
  for (const secret of ["hf_secret123", "hf_AbCdEfGh", "abcdef"]) expect(result.text).not.toContain(secret);
  expect(result.text).toContain("# hf_hub_token:\n");
  expect(result.text).toContain("# max_new_tokens: 512\n");
  expect(result.text).toContain("learning_rate: 1.0e-4 # plain\n");
  expect(configOf(result)["tuneup:train"]).toMatchObject({ bf16: true, learning_rate: 1e-4 });
  expect(said(result)).toMatch(/3 comments hold what looks like a secret/);
  expect(said(result)).not.toContain("abcdef");
});

test("a secret as a value goes as well, whichever it is", () => {
  const result = imported(`${least}dataset: identity\nswanlab_api_key: abcdef\n`);
  expect(result.text).not.toContain("abcdef");
  expect(said(result)).toMatch(/swanlab_api_key is a secret/);
});
