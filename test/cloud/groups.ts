import { AutoScaling } from "@aws-sdk/client-auto-scaling";
import type { EC2 } from "@aws-sdk/client-ec2";
import type { Call } from "./calls.ts";

/** The Auto Scaling groups of an account: moto starts and ends instances for them, but looks after none by itself. */
export interface Groups {
  readonly scaling: AutoScaling;
  /** Ids of the instances that run for groups, and their user data. */
  running(): Promise<ReadonlyMap<string, string>>;
  /** AWS looks after its groups: each has as many machines as it is to have. */
  reconcile(): Promise<void>;
}

/** What changes how many machines there are, at once. A smaller capacity alone leaves the machine the time to end itself. */
export function changesGroups({ service, action }: Call): boolean {
  return service === "autoscaling" && /^(Create|Update|Delete)AutoScalingGroup$/.test(action);
}

/** Opens those of the account that answers at `direct`. */
export function openGroups(ec2: EC2, direct: ConstructorParameters<typeof AutoScaling>[0] & object): Groups {
  const scaling = new AutoScaling(direct);
  const userDataOf = async (InstanceId: string): Promise<string> => {
    const { UserData } = await ec2.describeInstanceAttribute({ InstanceId, Attribute: "userData" });
    return Buffer.from(UserData?.Value ?? "", "base64").toString();
  };
  return {
    scaling,
    running: async () => {
      const { Reservations = [] } = await ec2.describeInstances({
        Filters: [
          { Name: "tag-key", Values: ["aws:autoscaling:groupName"] },
          { Name: "instance-state-name", Values: ["pending", "running"] },
        ],
      });
      const ids = Reservations.flatMap(({ Instances = [] }) => Instances.map(({ InstanceId = "" }) => InstanceId));
      return new Map(await Promise.all(ids.map(async (id) => [id, await userDataOf(id)] as const)));
    },
    reconcile: async () => {
      const { AutoScalingGroups = [] } = await scaling.describeAutoScalingGroups({});
      for (const { AutoScalingGroupName, DesiredCapacity } of AutoScalingGroups) {
        await scaling.setDesiredCapacity({ AutoScalingGroupName, DesiredCapacity });
      }
    },
  };
}
