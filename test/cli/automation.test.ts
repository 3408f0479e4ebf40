import { createRequire } from "node:module";
import { execa } from "execa";
import { expect, it } from "vitest";

const require = createRequire(import.meta.url);

it("loads the Automation API without TypeScript and npm's reader of node_modules", async () => {
  const source = `
    import { createRequire } from "node:module";
    const { LocalWorkspace } = await import("./cli/automation.ts");
    const { cache } = createRequire(import.meta.url);
    const keys = (path) => Object.keys(cache[path]?.exports ?? { absent: true }).length;
    const of = (part) => Object.keys(cache).filter((path) => path.includes(part));
    console.log(JSON.stringify({
      works: typeof LocalWorkspace.createOrSelectStack,
      keys: [...of("/typescript/"), ...of("/@npmcli/")].map((path) => [path, keys(path)]),
    }));`;
  const { stdout } = await execa(process.execPath, ["--input-type=module", "--eval", source]);
  const [typescript, arborist] = ["typescript", "@npmcli/arborist"].map((name) => require.resolve(name));
  expect(JSON.parse(stdout)).toEqual({
    works: "function",
    keys: [
      [typescript, 0],
      [arborist, 0],
    ],
  });
});
