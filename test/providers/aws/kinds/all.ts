import type { Kind } from "../kind.ts";
import * as buckets from "./bucket.ts";
import * as identity from "./identity.ts";
import { launchTemplate } from "./launch-template.ts";
import * as machine from "./machine.ts";
import * as network from "./network.ts";
import * as routes from "./routes.ts";
import { group } from "./scaling-group.ts";
import { schedule } from "./schedule.ts";
import * as groups from "./security-groups.ts";

/** Every type that the stand-in knows, by its token. */
export const kinds: Readonly<Record<string, Kind>> = {
  "aws:autoscaling/group:Group": group,
  "aws:ebs/volume:Volume": machine.volume,
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": groups.defaultSecurityGroup,
  "aws:ec2/eip:Eip": network.eip,
  "aws:ec2/instance:Instance": machine.instance,
  "aws:ec2/internetGateway:InternetGateway": network.internetGateway,
  "aws:ec2/launchTemplate:LaunchTemplate": launchTemplate,
  "aws:ec2/natGateway:NatGateway": network.natGateway,
  "aws:ec2/route:Route": routes.route,
  "aws:ec2/routeTable:RouteTable": routes.routeTable,
  "aws:ec2/routeTableAssociation:RouteTableAssociation": routes.routeTableAssociation,
  "aws:ec2/securityGroup:SecurityGroup": groups.securityGroup,
  "aws:ec2/subnet:Subnet": network.subnet,
  "aws:ec2/volumeAttachment:VolumeAttachment": machine.volumeAttachment,
  "aws:ec2/vpc:Vpc": network.vpc,
  "aws:ec2/vpcEndpoint:VpcEndpoint": routes.vpcEndpoint,
  "aws:iam/instanceProfile:InstanceProfile": identity.instanceProfile,
  "aws:iam/role:Role": identity.role,
  "aws:iam/rolePolicy:RolePolicy": identity.rolePolicy,
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment": identity.rolePolicyAttachment,
  "aws:s3/bucket:Bucket": buckets.bucket,
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": buckets.bucketLifecycle,
  "aws:s3/bucketPolicy:BucketPolicy": buckets.bucketPolicy,
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": buckets.publicAccessBlock,
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": buckets.bucketEncryption,
  "aws:s3/bucketVersioning:BucketVersioning": buckets.bucketVersioning,
  "aws:scheduler/schedule:Schedule": schedule,
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": groups.egressRule,
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": groups.ingressRule,
};
