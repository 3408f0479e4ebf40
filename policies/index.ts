import { type Policies, PolicyPack, type PolicyResource } from "@pulumi/policy";
import { resourceRules, stackRules } from "./pack.ts";
import type { DeclaredResource, Inputs } from "./rule.ts";

/** What Pulumi's engine asks about every resource, and about all of them at the end. In a preview a rule waits for what is not known yet. */
const policies: Policies = [
  ...resourceRules.map(({ name, description, check }) => ({
    ...{ name, description, enforcementLevel: "mandatory" as const },
    validateResource: (
      { type, name: resource, urn, props }: { type: string; name: string; urn: string; props: Inputs },
      report: (message: string) => void,
    ) => {
      for (const message of check({ type, name: resource, urn, inputs: props })) report(message);
    },
  })),
  ...stackRules.map(({ name, description, check }) => ({
    ...{ name, description, enforcementLevel: "mandatory" as const },
    validateStack: (
      { resources }: { resources: PolicyResource[] },
      report: (message: string, urn?: string) => void,
    ) => {
      for (const { message, urn } of check(resources.map(declared))) report(message, urn);
    },
  })),
];

function declared({ type, name, urn, props, propertyDependencies }: PolicyResource): DeclaredResource {
  const dependencies = Object.entries(propertyDependencies).map(
    ([input, from]) => [input, from.map((one) => one.urn)] as const,
  );
  return { type, name, urn, inputs: props, dependencies: Object.fromEntries(dependencies) };
}

new PolicyPack("tuneup", { policies });
