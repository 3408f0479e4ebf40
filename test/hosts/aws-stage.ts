import { join } from "node:path";
import { AwsLink } from "../../hosts/aws-link.ts";
import { awsTiming } from "../../hosts/aws-timing.ts";
import type { Fault } from "../../recipe/fault.ts";
import type { FakeAws } from "./fake-aws.ts";

let made = 0;

/** A stack that no other test has spoken to, with a machine of a name of its own. */
export function newStack(aws: FakeAws, state = "running", more: object = {}) {
  made += 1;
  const name = `demo-${process.pid}-${made}`;
  const id = `i-${String(process.pid).padStart(8, "0")}${String(made).padStart(9, "0")}`;
  aws.machines = [{ id, state, stack: name, ...more }];
  return { name, id };
}

/** Makes links to stacks' machines, and closes those that it made. */
export function links(aws: FakeAws) {
  const opened: AwsLink[] = [];
  return {
    link(stack: string, more: { readonly spot?: boolean } = {}): AwsLink {
      const where = { region: "us-east-1", stack, dataDirectory: join(aws.folder, "data") };
      const spec = { kind: "aws", ...where, ...more } as const;
      const made = new AwsLink(spec, join(aws.folder, "home"), awsTiming(process.env));
      opened.push(made);
      return made;
    },
    close: async (): Promise<void> => {
      await Promise.all(opened.map((link) => link.close()));
    },
  };
}

/** The fault that it ends with. */
export function faultOf(work: Promise<unknown>): Promise<Fault> {
  return work.then(
    () => Promise.reject(new Error("no fault")),
    (thrown: unknown) => thrown as Fault,
  );
}
