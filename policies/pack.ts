import { bucketRule, publicAccessRule } from "./buckets.ts";
import {
  clusterAuditRule,
  clusterEndpointRule,
  clusterSecretsRule,
  clusterVersionRule,
  nodeGroupRule,
} from "./clusters.ts";
import { decryptRule, roleRule, wildcardRule } from "./identity.ts";
import { diskEncryptionRule, keyRotationRule, metadataRule, publicAddressRule } from "./machines.ts";
import { defaultGroupRule, listenerRule, openPortRule, ownNetworkRule } from "./network.ts";
import type { DeclaredResource, ResourceRule, StackRule, Violation } from "./rule.ts";
import { tagsRule } from "./tags.ts";

/** Rules about one resource each. */
export const resourceRules: readonly ResourceRule[] = [
  ...[metadataRule, publicAddressRule, diskEncryptionRule, keyRotationRule],
  ...[openPortRule, defaultGroupRule, listenerRule],
  ...[publicAccessRule, wildcardRule, decryptRule, roleRule],
  ...[clusterEndpointRule, clusterSecretsRule, clusterAuditRule, clusterVersionRule, nodeGroupRule, tagsRule],
];

/** Rules about all of a stack together. */
export const stackRules: readonly StackRule[] = [ownNetworkRule, bucketRule];

/** Everything that the resources of a stack break; nothing for resources of other providers than aws. */
export function violations(resources: readonly DeclaredResource[]): Violation[] {
  return [
    ...resources.flatMap((resource) =>
      resourceRules.flatMap(({ name, check }) =>
        check(resource).map((message) => ({ rule: name, urn: resource.urn, message })),
      ),
    ),
    ...stackRules.flatMap(({ name, check }) => check(resources).map((found) => ({ rule: name, ...found }))),
  ];
}
