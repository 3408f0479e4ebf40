import { expect } from "vitest";
import { stringify } from "yaml";
import { type Declared, ofAws } from "./aws-cloud.ts";

/** Inputs of all resources, as text for people; what the machine is told at its start has tests of its own. */
export function pictureOf(all: readonly Declared[]): string {
  const entries = ofAws(all).map(({ type, name, inputs }) => {
    const { id, userData, ...shown } = inputs;
    expect(id).toBeDefined();
    const told = userData === undefined ? {} : { userData: "(see recipe/aws/user-data.ts)" };
    return { type, name, inputs: { ...shown, ...told } };
  });
  const order = ({ type, name }: { type: string; name: string }) => `${type} ${name}`;
  return stringify(
    entries.toSorted((a, b) => (order(a) < order(b) ? -1 : 1)),
    { sortMapEntries: true, lineWidth: 0 },
  );
}
