import { expect, it } from "vitest";
import { baseLock, torchLock, variantLock } from "../../../agent/environment/identity.ts";
import { lockEntries } from "../../../provider/wheels/lock-entries.ts";
import { applies } from "../../../provider/wheels/markers.ts";
import { markerFacts, type WheelTarget } from "../../../provider/wheels/target.ts";
import { variantNames } from "../../../recipe/variants.ts";

const linux: WheelTarget = { minor: 12, python: "3.12.1", machine: "x86_64", glibc: 36 };
const facts = markerFacts(linux);

it.each([
  ["python_full_version >= '3.12'", true],
  ["python_full_version < '3.12'", false],
  ["python_full_version == '3.12.1'", true],
  ["python_version < '3.9'", false],
  ["'3.9' <= python_version", true],
  ["sys_platform == 'win32' or sys_platform == 'linux'", true],
  ["sys_platform == 'win32' or sys_platform == 'linux' and platform_machine == 'aarch64'", false],
  ["(sys_platform == 'win32' or sys_platform == 'linux') and platform_machine != 'aarch64'", true],
  ["implementation_name != 'PyPy' and platform_python_implementation != 'PyPy'", true],
  ["platform_machine in 'x86_64 amd64'", true],
  ['platform_machine not in "x86_64 amd64"', false],
])("%s holds on a Linux host with Python 3.12.1: %s", (marker, answer) => {
  expect(applies(marker, facts)).toBe(answer);
});

it.each(["sys_platform", "sys_platform == 'linux' and", "color == 'red'", "(sys_platform == 'linux'", "a b c d", "!"])(
  "%s is refused, never passed by",
  (marker) => {
    expect(() => applies(marker, facts)).toThrow("can't be read");
  },
);

it("reads every entry of our own locks, and takes one of each package", () => {
  const texts = [baseLock(), torchLock(), ...variantNames.map(variantLock)];
  for (const text of texts) {
    const entries = lockEntries(text);
    expect(entries.length).toBe(text.split("\n").filter((line) => /^[a-z0-9]/.test(line)).length);
    expect(entries.every(({ hashes }) => hashes.size > 0)).toBe(true);
    expect(entries.reduce((sum, { hashes }) => sum + hashes.size, 0)).toBe(text.split("--hash=").length - 1);
    for (const target of [linux, { ...linux, minor: 11, python: "3.11.9", machine: "aarch64" as const }]) {
      const mine = entries.filter(({ marker }) => applies(marker, markerFacts(target))).map(({ name }) => name);
      expect(new Set(mine).size).toBe(mine.length);
      if (text === baseLock()) expect(mine).toEqual(expect.arrayContaining(["numpy", "cffi", "jieba"]));
      if (text === baseLock()) expect(mine).not.toContain("colorama");
    }
  }
});
