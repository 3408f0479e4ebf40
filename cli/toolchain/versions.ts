import { coerce, gte } from "semver";

/** The Pulumi CLI that we install: the version of tools/pulumi/go.mod (a test compares them), the newest that all was tried with. */
export const pulumiVersion = "3.259.0";

/** The oldest Pulumi CLI taken from PATH: `stackConfigDir` and provider plugins by path as Pulumi.yaml uses them were tried from here on. */
export const pulumiMinimum = "3.240.0";

/** The oldest Go that builds tools/. */
export const goMinimum = "1.25.0";

/** Is `version` (`v3.259.0`, `go1.26.8`, `3.300.0-alpha.1`) `minimum` or newer? False where it is no version. */
export function isAtLeast(version: string, minimum: string): boolean {
  const ours = coerce(version);
  return ours !== null && gte(ours, minimum);
}
