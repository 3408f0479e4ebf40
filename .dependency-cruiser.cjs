/** Imports point one way: recipe <- agent <- hosts <- checks <- provider <- components <- index.ts; cli uses all of them but provider and components. */
const only = (from, ...allowed) => ({
  name: `${from}-imports-only-${allowed.join("-") || "itself"}`,
  severity: "error",
  from: { path: `^${from}/` },
  to: {
    path: "^(recipe|hosts|agent|checks|policies|provider|components|web|cli|scripts|index\\.ts)",
    pathNot: `^(${[from, ...allowed].join("|")})/`,
  },
});

module.exports = {
  forbidden: [
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    only("recipe"),
    only("agent", "recipe"),
    // hosts: the other end of what the agent sends and receives.
    only("hosts", "recipe", "agent"),
    only("web", "recipe"),
    only("checks", "recipe", "hosts", "agent"),
    only("policies", "recipe"),
    only("provider", "recipe", "hosts", "agent", "checks"),
    only("components", "recipe", "provider"),
    // agent: its locks, atomic files and process checks; what it does on a host is reached through hosts.
    only("cli", "recipe", "hosts", "scripts", "agent", "checks"),
    only("scripts", "recipe", "cli", "agent", "checks"),
    {
      name: "cli-takes-the-automation-api-from-automation.ts",
      severity: "error",
      from: { path: "^cli/", pathNot: "^cli/automation\\.ts$" },
      to: { path: "@pulumi/pulumi/automation/index" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(node_modules|dist)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { extensions: [".ts", ".mjs", ".js", ".json"] },
  },
};
