/**
 * What our Pulumi program takes from the SDK, from the modules that hold it. The SDK's index loads the Automation API, TypeScript and
 * npm's arborist as well: 575 modules and 0.4 s of each preview, for nothing that we use.
 */
export { Config } from "@pulumi/pulumi/config.js";
export { RunError } from "@pulumi/pulumi/errors.js";
export type { InvokeOptions } from "@pulumi/pulumi/invoke.js";
export { getProject, getStack } from "@pulumi/pulumi/metadata.js";
export { all, type Input, interpolate, jsonStringify, output, type Output, secret } from "@pulumi/pulumi/output.js";
export {
  ComponentResource,
  type ComponentResourceOptions,
  CustomResource,
  type CustomResourceOptions,
  type Resource,
  type ResourceTransformation,
} from "@pulumi/pulumi/resource.js";
export { allConfig } from "@pulumi/pulumi/runtime/config.js";
export { isDryRun } from "@pulumi/pulumi/runtime/settings.js";
