import { expect, test } from "vitest";
import { allowedEnvironment } from "../../recipe/child-environment.ts";
import { hubEndpoint, mirrorName, mirrorVariables, torchMirror } from "../../recipe/mirrors.ts";

const cn = { TUNEUP_MIRRORS: "cn" };

test("without the switch nothing is set", () => {
  expect(mirrorVariables({})).toEqual({});
  expect(mirrorVariables({ TUNEUP_MIRRORS: "" })).toEqual({});
  expect(torchMirror({})).toBeUndefined();
});

test("cn sets a mirror for every program of the set-up", () => {
  const variables = mirrorVariables(cn);
  expect(Object.keys(variables).toSorted()).toEqual(
    [
      "GOPROXY",
      "HF_ENDPOINT",
      "HF_HUB_DISABLE_XET",
      "PIP_INDEX_URL",
      "UV_DEFAULT_INDEX",
      "UV_PYTHON_INSTALL_MIRROR",
      "npm_config_registry",
    ].toSorted(),
  );
  const addresses = Object.values(variables).filter((value) => value.startsWith("https://"));
  for (const address of addresses) {
    expect(new URL(address.split(",")[0] ?? "").host).not.toMatch(/pypi\.org|npmjs|golang|huggingface|pytorch\.org/);
  }
  expect(torchMirror(cn)).toMatch(/^https:\/\/.*\/$/);
});

test.each([
  ["UV_DEFAULT_INDEX", "UV_DEFAULT_INDEX"],
  ["UV_INDEX_URL", "UV_DEFAULT_INDEX"],
  ["PIP_INDEX_URL", "UV_DEFAULT_INDEX"],
  ["PIP_INDEX_URL", "PIP_INDEX_URL"],
  ["npm_config_registry", "npm_config_registry"],
  ["NPM_CONFIG_REGISTRY", "npm_config_registry"],
  ["GOPROXY", "GOPROXY"],
  ["HF_ENDPOINT", "HF_ENDPOINT"],
  ["HF_ENDPOINT", "HF_HUB_DISABLE_XET"],
])("the user's own %s leaves %s alone", (own, variable) => {
  expect(mirrorVariables({ ...cn, [own]: "https://own.example/" })).not.toHaveProperty(variable);
  expect(mirrorVariables({ ...cn, [own]: "" })).toHaveProperty(variable);
});

test("every child process gets them, and the user's own value over them", () => {
  const child = allowedEnvironment({ ...cn, HF_ENDPOINT: "https://own.example" });
  expect(child["GOPROXY"]).toMatch(/^https:/);
  expect(child["HF_ENDPOINT"]).toBe("https://own.example");
});

test("an unknown name is a sentence with the names that there are", () => {
  expect(() => mirrorName({ TUNEUP_MIRRORS: "mars" })).toThrow('TUNEUP_MIRRORS is "mars", and known are: cn.');
  expect(() => mirrorName({ TUNEUP_MIRRORS: "toString" })).toThrow("known are: cn");
});

test("a hub is found at its own variables, then at the mirrors', then at home", () => {
  expect(hubEndpoint("huggingface", {})).toBe("https://huggingface.co");
  expect(hubEndpoint("huggingface", cn)).toBe("https://hf-mirror.com");
  expect(hubEndpoint("huggingface", { ...cn, HF_ENDPOINT: "http://mirror:8080/" })).toBe("http://mirror:8080");
  expect(hubEndpoint("huggingface", { HF_ENDPOINT: "" })).toBe("https://huggingface.co");
  expect(hubEndpoint("modelscope", { MODELSCOPE_DOMAIN: "www.modelscope.ai" })).toBe("https://www.modelscope.ai");
});
