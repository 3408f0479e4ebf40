import { isWorldOpen } from "../recipe/aws/config.ts";
import { openToEveryone } from "../recipe/aws/tags.ts";
import { belongsTo, type Inputs, mapAt, mapsAt, type ResourceRule, shown, type StackRule, textsAt } from "./rule.ts";

const group = "aws:ec2/securityGroup:SecurityGroup";
const ingressRule = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";
const defaultGroup = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup";

/** Blocks of addresses that a rule of a group lets in. */
function blocksOf(rule: Inputs): readonly string[] {
  return ["cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6"].flatMap((key) => textsAt(rule, key));
}

/** Every kind of resource that lets something in. */
function inboundOf(type: string, inputs: Inputs): readonly Inputs[] {
  if (type === group || type === defaultGroup) return mapsAt(inputs, "ingress");
  if (type === "aws:ec2/securityGroupRule:SecurityGroupRule") return inputs["type"] === "ingress" ? [inputs] : [];
  return type === ingressRule ? [inputs] : [];
}

/** A rule that says itself that it is open on purpose: https and nothing else, by the tag of a public chat for everyone. */
function isOpenOnPurpose(type: string, inputs: Inputs): boolean {
  const tags = mapAt(inputs, "tags");
  const { ipProtocol, fromPort, toPort } = inputs;
  const said = Object.entries(openToEveryone).every(([name, value]) => tags[name] === value);
  return type === ingressRule && said && ipProtocol === "tcp" && fromPort === 443 && toPort === 443;
}

/** The internet scans every address all the time. */
export const openPortRule: ResourceRule = {
  name: "no-world-open-port",
  description: "No port is open to the whole internet, nor to nearly all of it, unless it is https and tagged so.",
  known: ["EC2.18", "EC2.19", "EC2.53", "EC2.54", "CKV_AWS_24", "CKV_AWS_260"],
  check: ({ type, inputs }) =>
    inboundOf(type, inputs).flatMap((rule) => {
      const open = isOpenOnPurpose(type, rule) ? [] : blocksOf(rule).filter(isWorldOpen);
      const ports =
        rule["fromPort"] === undefined ? "all ports" : `ports ${shown(rule["fromPort"])} to ${shown(rule["toPort"])}`;
      return open.length === 0 ? [] : [`${open.join(", ")} may connect to ${ports}; name the addresses that need to.`];
    }),
};

/** What names no group gets the default one. */
export const defaultGroupRule: ResourceRule = {
  name: "default-group-closed",
  description: "The default security group lets nothing in or out.",
  known: ["EC2.2", "CKV2_AWS_12"],
  check: ({ type, inputs }) => {
    if (type !== defaultGroup) return [];
    return ["ingress", "egress"].flatMap((way) =>
      mapsAt(inputs, way).length === 0 ? [] : [`${way} must be empty, got ${shown(inputs[way])}.`],
    );
  },
};

/** AWS makes a default group that is open within itself, unless the stack takes it over. */
export const ownNetworkRule: StackRule = {
  name: "default-group-taken-over",
  description: "Each VPC of the stack has its default security group declared, so that it is closed.",
  known: ["EC2.2", "CKV2_AWS_12"],
  check: (resources) => {
    const groups = resources.filter(({ type }) => type === defaultGroup);
    return resources
      .filter(({ type }) => type === "aws:ec2/vpc:Vpc")
      .filter((vpc) => !groups.some((one) => belongsTo(one, "vpcId", vpc, "id")))
      .map(({ urn }) => ({ urn, message: `needs a ${defaultGroup} with its id as vpcId and no rules.` }));
  },
};

/** Policies of load balancers that speak TLS 1.2 and later alone; AWS's default also speaks older ones. */
const modernTls = /^ELBSecurityPolicy-(TLS13-1-[23]|TLS-1-2|FS-1-2)/;

/** The key of the endpoint goes over this line. */
export const listenerRule: ResourceRule = {
  name: "listener-tls",
  description: "Load balancers listen with TLS 1.2 or later; plain HTTP does nothing but send there.",
  known: ["ELB.1", "ELB.17", "CKV_AWS_2", "CKV_AWS_103"],
  check: ({ type, inputs }) => {
    if (type !== "aws:lb/listener:Listener") return [];
    const { protocol, sslPolicy } = inputs;
    if (protocol === "HTTPS" || protocol === "TLS") {
      const modern = typeof sslPolicy === "string" && modernTls.test(sslPolicy);
      return modern
        ? []
        : [
            `sslPolicy must be of TLS 1.2 or later, such as ELBSecurityPolicy-TLS13-1-2-2021-06, got ${shown(sslPolicy)}.`,
          ];
    }
    const actions = mapsAt(inputs, "defaultActions");
    const redirects = actions.length > 0 && actions.every((action) => action["type"] === "redirect");
    return protocol === "HTTP" && redirects ? [] : [`protocol must be HTTPS or TLS, got ${shown(protocol)}.`];
  },
};
