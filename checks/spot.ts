import { awsConfig } from "../recipe/aws/config.ts";
import type { CheckFinding } from "../recipe/check-report.ts";
import type { Experiment } from "../recipe/experiment.ts";

/** What a machine of spot capacity that takes another's place may not reach by itself: the keys of whoever ran `up` are on no machine. */
export function spotFindings({ target, aws, model }: Pick<Experiment, "target" | "aws" | "model">): CheckFinding[] {
  if (target !== "aws" || !awsConfig(aws).spot || model.source !== "s3") return [];
  return [
    {
      ...{ area: "weights", level: "warning", code: "aws-spot-weights", property: "model.id" },
      message: `${model.id} is read with your keys at \`up\`; a machine that takes another's place has none, and reads it only where the bucket lets everybody read.`,
      next: "With a private bucket, run `npx tuneup up` again whenever AWS replaced the machine, or take the weights from a hub.",
    },
  ];
}
