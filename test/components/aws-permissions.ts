const balancersTags = ["AddTags", "RemoveTags", "DescribeTags"];

/**
 * The actions of AWS that each resource of the target aws takes, as the AWS provider of Pulumi makes it, reads it, changes it and deletes it, and
 * those of our own calls. From the API calls of terraform-provider-aws 6's resources; never watched on AWS.
 */
export const actionsOf: Readonly<Record<string, readonly string[]>> = {
  "aws:ec2/vpc:Vpc": ec2(
    ...["CreateVpc", "DescribeVpcs", "DescribeVpcAttribute", "ModifyVpcAttribute", "DeleteVpc"],
    ...["DescribeNetworkAcls", "DescribeRouteTables", "DescribeSecurityGroups"],
  ),
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ec2(
    ...["DescribeSecurityGroups", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"],
  ),
  "aws:ec2/subnet:Subnet": ec2(
    ...["CreateSubnet", "DescribeSubnets", "ModifySubnetAttribute", "DeleteSubnet", "DescribeNetworkInterfaces"],
  ),
  "aws:ec2/routeTable:RouteTable": ec2("CreateRouteTable", "DescribeRouteTables", "DeleteRouteTable"),
  "aws:ec2/routeTableAssociation:RouteTableAssociation": ec2(
    ...["AssociateRouteTable", "DescribeRouteTables", "DisassociateRouteTable"],
  ),
  "aws:ec2/route:Route": ec2("CreateRoute", "DescribeRouteTables", "ReplaceRoute", "DeleteRoute"),
  "aws:ec2/internetGateway:InternetGateway": ec2(
    ...["CreateInternetGateway", "AttachInternetGateway", "DescribeInternetGateways"],
    ...["DetachInternetGateway", "DeleteInternetGateway"],
  ),
  "aws:ec2/eip:Eip": ec2("AllocateAddress", "DescribeAddresses", "DescribeAddressesAttribute", "ReleaseAddress"),
  "aws:ec2/natGateway:NatGateway": ec2("CreateNatGateway", "DescribeNatGateways", "DeleteNatGateway"),
  "aws:ec2/securityGroup:SecurityGroup": ec2(
    ...["CreateSecurityGroup", "DescribeSecurityGroups", "DescribeNetworkInterfaces", "DeleteSecurityGroup"],
    ...["RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress"],
  ),
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": ec2(
    ...["AuthorizeSecurityGroupEgress", "DescribeSecurityGroupRules", "ModifySecurityGroupRules"],
    "RevokeSecurityGroupEgress",
  ),
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ec2(
    ...["AuthorizeSecurityGroupIngress", "DescribeSecurityGroupRules", "ModifySecurityGroupRules"],
    "RevokeSecurityGroupIngress",
  ),
  "aws:ec2/vpcEndpoint:VpcEndpoint": ec2(
    ...["CreateVpcEndpoint", "DescribeVpcEndpoints", "DescribePrefixLists", "ModifyVpcEndpoint", "DeleteVpcEndpoints"],
  ),
  "aws:ebs/volume:Volume": ec2("CreateVolume", "DescribeVolumes", "ModifyVolume", "DescribeVolumesModifications"),
  "aws:ec2/volumeAttachment:VolumeAttachment": ec2("AttachVolume", "DescribeVolumes", "DescribeInstances"),
  "aws:ec2/instance:Instance": [
    ...ec2("RunInstances", "DescribeInstances", "DescribeInstanceAttribute", "DescribeInstanceTypes", "DescribeImages"),
    ...ec2("DescribeVolumes", "DescribeTags", "ModifyInstanceAttribute", "ModifyInstanceMetadataOptions"),
    ...ec2("TerminateInstances"),
    "iam:PassRole",
  ],
  "aws:iam/role:Role": iam(
    ...["CreateRole", "GetRole", "UpdateRole", "UpdateRoleDescription", "UpdateAssumeRolePolicy", "DeleteRole"],
    ...["TagRole", "UntagRole", "ListRolePolicies", "ListAttachedRolePolicies", "ListInstanceProfilesForRole"],
  ),
  "aws:iam/rolePolicy:RolePolicy": iam("PutRolePolicy", "GetRolePolicy", "DeleteRolePolicy"),
  "aws:iam/rolePolicyAttachment:RolePolicyAttachment": iam(
    ...["AttachRolePolicy", "ListAttachedRolePolicies", "DetachRolePolicy"],
  ),
  "aws:iam/instanceProfile:InstanceProfile": iam(
    ...["CreateInstanceProfile", "GetInstanceProfile", "AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile"],
    ...["TagInstanceProfile", "UntagInstanceProfile", "DeleteInstanceProfile"],
  ),
  "aws:scheduler/schedule:Schedule": [
    ...["CreateSchedule", "GetSchedule", "UpdateSchedule", "DeleteSchedule"].map((action) => `scheduler:${action}`),
    "iam:PassRole",
  ],
  "aws:lb/loadBalancer:LoadBalancer": [
    ...balancing("CreateLoadBalancer", "DescribeLoadBalancers", "DescribeLoadBalancerAttributes", "DeleteLoadBalancer"),
    ...balancing("DescribeCapacityReservation", "ModifyLoadBalancerAttributes", "SetIpAddressType"),
    ...balancing("SetSecurityGroups", "SetSubnets", ...balancersTags),
    // It makes its network cards by a role of its own, which an account has from its first one on.
    ...["ec2:DescribeAccountAttributes", "iam:CreateServiceLinkedRole"],
  ],
  "aws:lb/targetGroup:TargetGroup": balancing(
    ...["CreateTargetGroup", "DescribeTargetGroups", "DescribeTargetGroupAttributes", "DeleteTargetGroup"],
    ...["ModifyTargetGroup", "ModifyTargetGroupAttributes", ...balancersTags],
  ),
  "aws:lb/targetGroupAttachment:TargetGroupAttachment": balancing(
    ...["RegisterTargets", "DescribeTargetHealth", "DeregisterTargets"],
  ),
  "aws:lb/listener:Listener": balancing(
    ...["CreateListener", "DescribeListeners", "DescribeListenerAttributes", "DeleteListener"],
    ...["ModifyListener", "ModifyListenerAttributes", ...balancersTags],
  ),
  "aws:autoscaling/group:Group": [
    ...scaling(
      "CreateAutoScalingGroup",
      "DescribeAutoScalingGroups",
      "UpdateAutoScalingGroup",
      "DeleteAutoScalingGroup",
    ),
    ...scaling("CreateOrUpdateTags", "DeleteTags", "StartInstanceRefresh", "CancelInstanceRefresh"),
    ...scaling("DescribeInstanceRefreshes"),
    ...scaling("DescribeScalingActivities", "DescribeWarmPool", "DescribeLifecycleHooks"),
    // A group is made only by who may start what is in its template.
    ...["ec2:RunInstances", "iam:PassRole", "iam:CreateServiceLinkedRole"],
  ],
  "aws:ec2/launchTemplate:LaunchTemplate": ec2(
    ...["CreateLaunchTemplate", "DescribeLaunchTemplates", "DescribeLaunchTemplateVersions", "DeleteLaunchTemplate"],
    ...["CreateLaunchTemplateVersion", "ModifyLaunchTemplate"],
  ),
  "aws:s3/bucket:Bucket": s3(
    ...["CreateBucket", "ListBucket", "PutBucketTagging", "TagResource", "UntagResource", "ListTagsForResource"],
    // All that the provider reads of a bucket.
    ...["GetAccelerateConfiguration", "GetBucketAcl", "GetBucketCORS", "GetBucketLogging", "GetBucketTagging"],
    ...["GetBucketObjectLockConfiguration", "GetBucketPolicy", "GetBucketRequestPayment", "GetBucketVersioning"],
    ...["GetBucketWebsite", "GetEncryptionConfiguration", "GetLifecycleConfiguration", "GetReplicationConfiguration"],
  ),
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": s3(
    "PutBucketPublicAccessBlock",
    "GetBucketPublicAccessBlock",
  ),
  "aws:s3/bucketPolicy:BucketPolicy": s3("PutBucketPolicy", "GetBucketPolicy"),
  "aws:s3/bucketVersioning:BucketVersioning": s3("PutBucketVersioning", "GetBucketVersioning"),
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": s3(
    "PutEncryptionConfiguration",
    "GetEncryptionConfiguration",
  ),
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": s3(
    "PutLifecycleConfiguration",
    "GetLifecycleConfiguration",
  ),
  // What the program asks for spot capacity alone, and `down --purge` does.
  spot: [
    ...["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeImages", "ec2:DescribeAvailabilityZones"],
    ...["tag:GetResources", "sts:GetCallerIdentity"],
    ...s3("GetObject", "ListBucketVersions", "DeleteObject", "DeleteObjectVersion", "DeleteBucket"),
  ],
  // What the program asks for a public chat alone.
  publicChat: ec2("DescribeAvailabilityZones"),
  // Everything that has tags.
  tags: ec2("CreateTags", "DeleteTags"),
  // What the program asks before it declares anything, and what the provider asks of the credentials.
  invokes: [
    ...ec2("DescribeInstances", "DescribeVolumes", "DescribeVpcs", "DescribeSubnets"),
    ...["ssm:GetParameter", "sts:GetCallerIdentity"],
  ],
  // hosts/aws: the machine is found, let in and reached; the end of a start that failed is read.
  host: [
    ...ec2("DescribeInstances", "GetConsoleOutput"),
    ...["ssm:DescribeInstanceInformation", "ssm:StartSession", "ssm:TerminateSession"],
    "ec2-instance-connect:SendSSHPublicKey",
  ],
  // `tuneup up` after one that was killed: the machine that nobody wrote down.
  leftovers: ec2("DescribeInstances", "TerminateInstances"),
  // `tuneup down --purge`.
  purge: ec2("DescribeVolumes", "DeleteVolume"),
  // `tuneup audit`.
  audit: [
    "tag:GetResources",
    ...ec2("DescribeInstances", "DescribeVolumes", "DescribeNatGateways", "DescribeVpcEndpoints"),
  ],
};

function ec2(...names: readonly string[]): string[] {
  return names.map((name) => `ec2:${name}`);
}

function iam(...names: readonly string[]): string[] {
  return names.map((name) => `iam:${name}`);
}

function balancing(...names: readonly string[]): string[] {
  return names.map((name) => `elasticloadbalancing:${name}`);
}

function scaling(...names: readonly string[]): string[] {
  return names.map((name) => `autoscaling:${name}`);
}

function s3(...names: readonly string[]): string[] {
  return names.map((name) => `s3:${name}`);
}
