import { statementsOf } from "./policy-document.ts";
import { type DeclaredResource, type Inputs, mapAt, mapsAt, type ResourceRule, textsAt } from "./rule.ts";

const policyTypes = [
  "aws:iam/policy:Policy",
  "aws:iam/rolePolicy:RolePolicy",
  "aws:iam/userPolicy:UserPolicy",
  "aws:iam/groupPolicy:GroupPolicy",
];
const roleType = "aws:iam/role:Role";

/** AWS knows no resource for these (Service Authorization Reference): a `*` is all that can be written. */
const withoutResource = [
  /^(ec2|elasticloadbalancing|autoscaling|ssm|tag|pricing|servicequotas):(Describe|Get|List)[A-Za-z]*\*?$/,
  /^eks:(DescribeAddonVersions|ListClusters)$/,
  /^ssm:UpdateInstanceInformation$/,
  /^ssmmessages:(Create|Open)(Control|Data)Channel$/,
  /^ec2messages:[A-Za-z]+$/,
  /^ecr:GetAuthorizationToken$/,
  /^sts:GetCallerIdentity$/,
];

/** Statements that allow something, of all policies that a resource holds. */
function allowedBy({ type, inputs }: DeclaredResource): readonly Inputs[] {
  const policies = policyTypes.includes(type)
    ? [inputs["policy"]]
    : type === roleType
      ? mapsAt(inputs, "inlinePolicies").map(({ policy }) => policy)
      : [];
  return policies.flatMap(statementsOf).filter(({ Effect }) => Effect === "Allow");
}

/** Allowed is what is named, on what is named. */
export const wildcardRule: ResourceRule = {
  name: "no-wildcard-permission",
  description: "No policy allows all actions, all of a service's, or an action on every resource.",
  known: ["IAM.1", "IAM.21", "CKV_AWS_62", "CKV_AWS_355"],
  check: (resource) =>
    allowedBy(resource).flatMap((statement) => {
      const actions = textsAt(statement, "Action");
      const all = actions.filter((action) => action === "*" || action.endsWith(":*"));
      const inverted = ["NotAction", "NotResource"].filter((key) => statement[key] !== undefined);
      const everywhere = textsAt(statement, "Resource").includes("*");
      const limited = Object.keys(mapAt(statement, "Condition")).length > 0;
      const named = actions.filter((action) => !withoutResource.some((known) => known.test(action)));
      return [
        ...all.map((action) => `allows ${action}: name the actions.`),
        ...inverted.map((key) => `allows by ${key}, which is everything else: name what is allowed.`),
        ...(everywhere && !limited && named.length > 0
          ? [`allows ${named.join(", ")} on every resource: name the resources.`]
          : []),
      ];
    }),
};

/** Who may open everything that any key closed needs no other right. */
export const decryptRule: ResourceRule = {
  name: "no-blanket-decrypt",
  description: "No policy allows decryption with every key.",
  known: ["KMS.1", "KMS.2"],
  check: (resource) =>
    allowedBy(resource).flatMap((statement) => {
      const decrypts = textsAt(statement, "Action").some((action) =>
        /^(\*|kms:\*|kms:(Decrypt|ReEncrypt)[A-Za-z*]*)$/.test(action),
      );
      const keys = textsAt(statement, "Resource");
      const every = keys.some((key) => key === "*" || /^arn:aws[a-z-]*:kms:[^:]*:[^:]*:(\*|key\/\*)$/.test(key));
      return decrypts && every ? [`allows decryption with ${keys.join(", ")}: name the key.`] : [];
    }),
};

const tooMuch = /:policy\/(AdministratorAccess|PowerUserAccess|IAMFullAccess)$/;

/** AWS's own policies that are wildcards under another name, and roles that anyone may take. */
export const roleRule: ResourceRule = {
  name: "role-narrow",
  description: "Roles have none of AWS's all-allowing policies, and not everyone may take them.",
  known: ["CKV_AWS_60", "CKV_AWS_274"],
  check: ({ type, inputs }) => {
    const arns = type === roleType ? textsAt(inputs, "managedPolicyArns") : [];
    const attached = /:(Role|User|Group)?PolicyAttachment$/.test(type) ? textsAt(inputs, "policyArn") : [];
    const open = (type === roleType ? statementsOf(inputs["assumeRolePolicy"]) : []).filter(
      (statement) =>
        statement["Effect"] === "Allow" &&
        (statement["Principal"] === "*" || textsAt(mapAt(statement, "Principal"), "AWS").includes("*")),
    );
    return [
      ...[...arns, ...attached].filter((arn) => tooMuch.test(arn)).map((arn) => `${arn} allows nearly everything.`),
      ...open.map(() => "assumeRolePolicy lets everyone take the role: name who may."),
    ];
  },
};
