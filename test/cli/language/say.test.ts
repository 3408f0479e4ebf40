import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { faultText, faultsInChinese } from "../../../cli/language/faults.ts";
import { sayIn } from "../../../cli/language/say.ts";
import { columnsOf, cutColumns, padColumns } from "../../../cli/language/width.ts";
import { Fault } from "../../../recipe/fault.ts";
import en from "../../../cli/language/en.json" with { type: "json" };
import zh from "../../../cli/language/zh.json" with { type: "json" };

const root = fileURLToPath(new URL("../../..", import.meta.url));
const english: Readonly<Record<string, string>> = en;
const chinese: Readonly<Record<string, string>> = zh;
const placeholders = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = ""]) => name).sort();
const commands = (text: string) => [...text.matchAll(/`[^`]+`/g)].map(([code]) => code).sort();

/** Texts of all our TypeScript and Python sources, tests aside. */
function sources(): { readonly path: string; readonly text: string }[] {
  return ["recipe", "hosts", "agent", "provider", "components", "checks", "cli"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => ({ path: `${folder}/${path}`, text: readFileSync(join(root, folder, path), "utf8") })),
  );
}

/** Every fault code: `code: "..."`, also behind a condition, and what our short makers of faults get first. One word is a code right after `code:` alone. */
function faultCodes(text: string): string[] {
  const kebab = /"([a-z][a-z0-9]*(?:-[a-z0-9]+)+|cancelled|unexpected)"/g;
  const places = [
    ...text.matchAll(/\bcode: ([^,;{}\n]*(?:\n\s+[?:] [^,;\n]*)*)/g),
    ...text.matchAll(
      /(?<!function )(?:\b(?!default\b)\w*[fF]ault|never|always|refuse\w*|add|addFirst)\(\s*("[a-z0-9-]+")/g,
    ),
    ...text.matchAll(/\bcode = ("[a-z0-9-]+")/g),
  ];
  const words = [...text.matchAll(/\bcode: "([a-z0-9]+)"/g)].map(([, code = ""]) => code);
  return [...words, ...places.flatMap(([, place = ""]) => [...place.matchAll(kebab)].map(([, code = ""]) => code))];
}

test("both dictionaries have the same keys, placeholders and commands, and no empty text", () => {
  expect(Object.keys(chinese)).toEqual(Object.keys(english));
  for (const [key, text] of Object.entries(english)) {
    const other = chinese[key] ?? "";
    expect(other.trim(), key).not.toBe("");
    expect(placeholders(other), key).toEqual(placeholders(text));
    expect(commands(other), key).toEqual(commands(text));
  }
});

test("every text that the commands say is in the dictionaries, and every text there is said", () => {
  const all = sources()
    .filter(({ path }) => path.startsWith("cli/"))
    .map(({ text }) => text)
    .join("\n");
  const imports = sources()
    .filter(({ path }) => /^recipe\/import\/(?!world)/.test(path))
    .map(({ text }) => text)
    .join("\n");
  // `doctor.${state}`, `check.${area}` and import's are put together; the compiler sees that each is there.
  const unsaid = Object.keys(english).filter((key) => {
    if (all.includes(`"${key}"`) || /^(doctor\.(ok|note|warning|missing)|check\.[a-z]+)$/.test(key)) return false;
    const code = /^import\.(?:note|ask)\.(.+?)(?:-compared)?$/.exec(key)?.[1];
    return code === undefined || !imports.includes(`"${code}"`);
  });
  expect(unsaid).toEqual([]);
});

test("values are put in as they are", () => {
  const values = { experiment: "a<b> & $t(up.done) {{folder}}", folder: "/x" };
  expect(sayIn("en")("down.kept", values)).toBe(
    "Nothing of a<b> & $t(up.done) {{folder}} computes any more. Kept in /x:",
  );
  expect(sayIn("zh")("up.done", { time: "8 秒" })).toBe("全部完成，用时 8 秒。");
});

test("every fault code in the sources has a Chinese line", () => {
  const found = sources().flatMap(({ path, text }) => faultCodes(text).map((code) => ({ path, code })));
  // If the search itself were broken, nothing would be lacking.
  expect(new Set(found.map(({ code }) => code)).size).toBeGreaterThan(80);
  expect(found).toContainEqual({ path: "checks/memory.ts", code: "memory" });
  const lacking = found.filter(({ code }) => !(code in faultsInChinese)).map(({ path, code }) => `${code} (${path})`);
  expect([...new Set(lacking)], "add them to cli/language/faults.zh.json").toEqual([]);
});

test("no Chinese line is of a code that is gone, and each is a sentence", () => {
  const all = sources()
    .map(({ text }) => text)
    .join("\n");
  const gone = Object.keys(faultsInChinese).filter((code) => !all.includes(`"${code}"`));
  expect(gone).toEqual([]);
  for (const [code, line] of Object.entries(faultsInChinese)) {
    expect(line, code).toMatch(/[\u4e00-\u9fff].*[。！？]$/);
  }
});

test("a fault is its English sentence, and in Chinese a line of what it means before that sentence", () => {
  const fault = new Fault({ code: "port-taken", property: "serve.port", message: "is taken.", next: "Take another." });
  expect(faultText(fault, "en")).toBe("serve.port: is taken. Take another.");
  expect(faultText(fault, "zh")).toBe(`${faultsInChinese["port-taken"] ?? ""}\nserve.port: is taken. Take another.`);
  const unknown = new Fault({ code: "no-such-code", message: "Something." });
  expect(faultText(unknown, "zh")).toBe("Something.");
});

test("Chinese characters count two columns", () => {
  expect(columnsOf("状态 ok")).toBe(7);
  expect(padColumns("状态", 6)).toBe("状态  ");
  expect(padColumns("Environment", 13)).toBe("Environment".padEnd(13));
  expect(cutColumns("运行环境 abc", 7)).toBe("运行环");
  expect(cutColumns("short", 80)).toBe("short");
});
