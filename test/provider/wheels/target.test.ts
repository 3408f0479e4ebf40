import { expect, it } from "vitest";
import { fitOf, targetOf, type WheelTarget } from "../../../provider/wheels/target.ts";

const debian: WheelTarget = { minor: 12, python: "3.12.1", machine: "x86_64", glibc: 36 };

it.each([
  "a-1-py3-none-any.whl",
  "a-1-py2.py3-none-any.whl",
  "a-1-py312-none-any.whl",
  "a-1-py311-none-any.whl",
  "a-1-cp312-cp312-manylinux_2_28_x86_64.whl",
  "a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
  "a-1-7-cp312-cp312-linux_x86_64.whl",
  "a-1-cp39-abi3-manylinux2014_x86_64.whl",
  "a-1-py3-none-manylinux_2_36_x86_64.whl",
])("%s runs on Debian 12 with Python 3.12", (name) => {
  expect(fitOf(name, debian)).toBeGreaterThan(0);
});

it.each([
  "a-1.tar.gz",
  "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
  "a-1-cp311-none-any.whl",
  "a-1-cp313-cp313-manylinux_2_28_x86_64.whl",
  "a-1-cp312-cp312t-manylinux_2_28_x86_64.whl",
  "a-1-cp313-abi3-manylinux_2_28_x86_64.whl",
  "a-1-py313-none-any.whl",
  "a-1-py2-none-any.whl",
  "a-1-pp310-pypy310_pp73-manylinux_2_28_x86_64.whl",
  "a-1-cp312-cp312-manylinux_2_28_aarch64.whl",
  "a-1-cp312-cp312-manylinux_2_39_x86_64.whl",
  "a-1-cp312-cp312-musllinux_1_2_x86_64.whl",
  "a-1-cp312-cp312-macosx_11_0_x86_64.whl",
  "a-1-cp312-cp312-win_amd64.whl",
])("%s does not", (name) => {
  expect(fitOf(name, debian)).toBeUndefined();
});

it("prefers the wheel that is nearest to the host", () => {
  const names = [
    "a-1-py3-none-any.whl",
    "a-1-cp38-abi3-manylinux_2_28_x86_64.whl",
    "a-1-cp311-abi3-manylinux_2_17_x86_64.whl",
    "a-1-cp312-cp312-manylinux2014_x86_64.whl",
    "a-1-cp312-cp312-manylinux_2_34_x86_64.whl",
  ];
  const fits = names.map((name) => fitOf(name, debian) ?? 0);
  expect(fits.toSorted((a, b) => a - b)).toEqual(fits);
});

it("is what the host's preflight says", () => {
  const python = { path: "/usr/bin/python3", version: "3.11.2" };
  expect(targetOf({ python, arch: "arm64", libc: "ldd (Debian GLIBC 2.36-9) 2.36" }, "far")).toEqual({
    ...{ minor: 11, python: "3.11.2", machine: "aarch64", glibc: 36 },
  });
  expect(targetOf({ python, arch: "x64" }, "far")).toMatchObject({ machine: "x86_64", glibc: 28 });
  expect(() => targetOf({ python: null, arch: "x64" }, "far")).toThrow(/far has no Python .* is not pushed/);
});
