import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  interpolate,
  type Output,
  type Resource,
} from "../provider/pulumi.ts";
import { SecurityGroup } from "@pulumi/aws/ec2/securityGroup.js";
import { Listener } from "@pulumi/aws/lb/listener.js";
import { LoadBalancer } from "@pulumi/aws/lb/loadBalancer.js";
import { TargetGroup } from "@pulumi/aws/lb/targetGroup.js";
import { TargetGroupAttachment } from "@pulumi/aws/lb/targetGroupAttachment.js";
import { SecurityGroupEgressRule } from "@pulumi/aws/vpc/securityGroupEgressRule.js";
import { SecurityGroupIngressRule } from "@pulumi/aws/vpc/securityGroupIngressRule.js";
import { type AwsConfig, isWorldOpen } from "../recipe/aws/config.ts";
import { networkBlocks } from "../recipe/aws/public-chat.ts";
import { openToEveryone, type Tags } from "../recipe/aws/tags.ts";
import { proxyIdleSeconds } from "../recipe/proxy.ts";
import { https } from "./aws-groups.ts";
import type { PublicNetwork } from "./aws-network.ts";

/** Arguments of AwsPublicChat. */
export interface AwsPublicChatArgs {
  /** `aws.publicChat` of the experiment. */
  readonly config: NonNullable<AwsConfig["publicChat"]>;
  /** Port of the gateway, which speaks https. */
  readonly port: number;
  readonly network: PublicNetwork;
  /** The machine's group, and the machine. */
  readonly machineGroupId: Input<string>;
  readonly instanceId: Input<string>;
  /** What the name of the group begins with, and those of balancer and targets, which AWS takes 32 characters of. */
  readonly groupName: string;
  readonly balancerName: string;
  readonly tags: Tags;
}

/** TLS 1.2 and 1.3. */
const sslPolicy = "ELBSecurityPolicy-TLS13-1-2-2021-06";

/**
 * Chat from outside: a load balancer with a certificate of ACM's, by https alone, for the allowed addresses. The machine keeps its private address
 * and lets in the balancer and nobody else; between them there is TLS too, whose self-signed certificate the balancer does not look at. Costs
 * 0.0225 USD an hour, 0.008 for each capacity unit in use and 0.005 for each of its two public addresses (us-east-1), as long as the stack is there,
 * whether the machine is or not.
 */
export class AwsPublicChat extends ComponentResource {
  /** Base URL by the balancer's own name. The certificate is for another, which has to lead there by a record in the user's DNS. */
  public readonly url: Output<string>;

  constructor(name: string, args: AwsPublicChatArgs, options?: ComponentResourceOptions) {
    super("tuneup:components:AwsPublicChat", name, {}, options);
    const { config, network, groupName, balancerName, tags } = args;
    const own = { parent: this };
    const { groupId, rules } = this.#group(name, args);
    const balancer = new LoadBalancer(
      balancerName,
      {
        ...{ loadBalancerType: "application", internal: false, ipAddressType: "ipv4" },
        ...{ subnets: [...network.subnetIds], securityGroups: [groupId] },
        ...{ dropInvalidHeaderFields: true, idleTimeout: proxyIdleSeconds },
        // Else destroy, which is the way to end its bill, would fail.
        enableDeletionProtection: false,
        tags: { ...tags, Name: `${groupName}-chat` },
      },
      { ...own, dependsOn: [...network.ready] },
    );
    const targets = this.#targets(name, args);
    new Listener(
      name,
      {
        ...{ loadBalancerArn: balancer.arn, port: 443, protocol: "HTTPS", sslPolicy },
        certificateArn: config.certificate,
        defaultActions: [{ type: "forward", targetGroupArn: targets.arn }],
        tags,
      },
      { ...own, dependsOn: [...rules] },
    );
    this.url = interpolate`https://${balancer.dnsName}`;
    this.registerOutputs({ url: this.url });
  }

  /** The balancer's group, and the one rule of the machine's that lets it in. */
  #group(name: string, args: AwsPublicChatArgs): { readonly groupId: Output<string>; readonly rules: Resource[] } {
    const { config, port, network, machineGroupId, groupName, tags } = args;
    const own = { parent: this };
    const { vpcId } = network;
    const group = new SecurityGroup(
      `${groupName}-chat`,
      {
        description: "tuneup: the load balancer; the allowed addresses come in, and it reaches the machine alone",
        ...{ vpcId, tags: { ...tags, Name: `${groupName}-chat` } },
      },
      own,
    );
    const admitted = networkBlocks(config.allowedCidrs).map((cidrIpv4) => {
      const open = config.everyone && isWorldOpen(cidrIpv4) ? openToEveryone : {};
      return new SecurityGroupIngressRule(
        `${name}-chat-${cidrIpv4.replace("/", "-")}`,
        { securityGroupId: group.id, ...https, cidrIpv4, tags: { ...tags, ...open } },
        own,
      );
    });
    const gateway = { ipProtocol: "tcp", fromPort: port, toPort: port, tags };
    const out = new SecurityGroupEgressRule(
      `${name}-chat`,
      { securityGroupId: group.id, ...gateway, referencedSecurityGroupId: machineGroupId },
      own,
    );
    const into = new SecurityGroupIngressRule(
      `${name}-chat`,
      { securityGroupId: machineGroupId, ...gateway, referencedSecurityGroupId: group.id },
      own,
    );
    return { groupId: group.id, rules: [...admitted, out, into] };
  }

  /** The machine's gateway. */
  #targets(name: string, { port, network, instanceId, balancerName, tags }: AwsPublicChatArgs): TargetGroup {
    const own = { parent: this };
    const protocol = "HTTPS";
    const targets = new TargetGroup(
      balancerName,
      {
        ...{ vpcId: network.vpcId, targetType: "instance", port, protocol, protocolVersion: "HTTP1" },
        // An answer under way ends with its machine.
        deregistrationDelay: 30,
        healthCheck: {
          ...{ path: "/healthz", protocol, port: "traffic-port", matcher: "200" },
          ...{ interval: 15, timeout: 5, healthyThreshold: 2, unhealthyThreshold: 4 },
        },
        tags,
      },
      own,
    );
    new TargetGroupAttachment(name, { targetGroupArn: targets.arn, targetId: instanceId, port }, own);
    return targets;
  }
}
