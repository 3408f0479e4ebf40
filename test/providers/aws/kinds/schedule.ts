import type { CreateScheduleCommandInput } from "@aws-sdk/client-scheduler";
import type * as schedulerTypes from "@pulumi/aws/scheduler/index.js";
import type { Unwrap } from "@pulumi/pulumi";
import { found } from "../clients.ts";
import { given, kind } from "../kind.ts";

type Inputs = Unwrap<schedulerTypes.ScheduleArgs>;

function requestOf(inputs: Inputs): CreateScheduleCommandInput {
  const { flexibleTimeWindow: window, target } = inputs;
  return {
    Name: inputs.name,
    ...(inputs.groupName === undefined ? {} : { GroupName: inputs.groupName }),
    ...(inputs.description === undefined ? {} : { Description: inputs.description }),
    ...(inputs.scheduleExpressionTimezone === undefined
      ? {}
      : { ScheduleExpressionTimezone: inputs.scheduleExpressionTimezone }),
    ...(inputs.actionAfterCompletion === undefined
      ? {}
      : { ActionAfterCompletion: inputs.actionAfterCompletion === "DELETE" ? "DELETE" : "NONE" }),
    ScheduleExpression: inputs.scheduleExpression,
    State: inputs.state === "DISABLED" ? "DISABLED" : "ENABLED",
    FlexibleTimeWindow: { Mode: window.mode === "OFF" ? "OFF" : "FLEXIBLE" },
    Target: {
      Arn: target.arn,
      RoleArn: target.roleArn,
      ...(target.input === undefined ? {} : { Input: target.input }),
      ...(target.retryPolicy?.maximumRetryAttempts === undefined
        ? {}
        : { RetryPolicy: { MaximumRetryAttempts: target.retryPolicy.maximumRetryAttempts } }),
    },
  };
}

/** Group and name of an id. */
function placeOf(id: string) {
  const [GroupName = "", Name = ""] = id.split("/");
  return { GroupName, Name };
}

export const schedule = kind<schedulerTypes.ScheduleArgs>({
  title: "EventBridge Scheduler Schedule",
  replaces: ["name", "namePrefix", "groupName"],
  named: true,
  async create({ scheduler }, inputs) {
    await scheduler.createSchedule(requestOf(inputs));
    return `${inputs.groupName ?? "default"}/${given(inputs.name, "name")}`;
  },
  async read({ scheduler }, id) {
    const live = await found(scheduler.getSchedule(placeOf(id)));
    if (live === undefined) return undefined;
    return { name: given(live.Name, "Name"), scheduleExpression: given(live.ScheduleExpression, "ScheduleExpression") };
  },
  async update({ scheduler }, _id, { inputs }) {
    await scheduler.updateSchedule(requestOf(inputs));
  },
  async delete({ scheduler }, id) {
    await found(scheduler.deleteSchedule(placeOf(id)));
  },
});
