import type { ResourceType, Tag } from "@aws-sdk/client-ec2";
import type { Unwrap } from "@pulumi/pulumi";
import type { Wire } from "../../../provider/values.ts";
import type { Clients } from "./clients.ts";

/** What is to be changed in place: the inputs as they are to be, those of before, and the names of what differs. */
export interface Edit<Inputs> {
  readonly inputs: Inputs;
  readonly olds: Inputs;
  readonly changed: readonly string[];
}

/** How resources of a type are made, looked up and ended. `Inputs` are the names of `@pulumi/aws`. */
export interface KindOf<Inputs> {
  /** As the provider names what it does in its errors: `EC2 Instance`. */
  readonly title: string;
  /** Inputs for whose change there is a new resource. */
  readonly replaces: readonly (keyof Inputs & string)[];
  /** More of them, by what the inputs themselves say. */
  alsoReplaces?(inputs: Inputs): readonly (keyof Inputs & string)[];
  /** Inputs that AWS decides where the program says nothing. */
  readonly computed?: readonly (keyof Inputs & string)[];
  /** Gets a name from the resource's where the program gives none. */
  readonly named?: true;
  /** Makes one by one call; its id. */
  create(aws: Clients, inputs: Inputs): Promise<string>;
  /** Does what else makes it whole, unless that is done, and waits until it can be used. What it throws leaves the resource in state. */
  settle?(aws: Clients, id: string, inputs: Inputs): Promise<void>;
  /** What is live, by the names of inputs and outputs; undefined if it is gone. */
  read(aws: Clients, id: string, inputs: Inputs): Promise<Partial<Inputs> | undefined>;
  /** Changes one in place. Undefined: only its tags can be changed. */
  update?(aws: Clients, id: string, edit: Edit<Inputs>): Promise<void>;
  delete(aws: Clients, id: string, inputs: Inputs): Promise<void>;
}

/** Any kind, as the provider takes it. */
export type Kind = KindOf<Wire>;

/** A kind whose inputs are those of a class of `@pulumi/aws`. */
export function kind<Args>(of: KindOf<Unwrap<Args>>): Kind {
  // The engine's bags are plain values; what they hold was typed in the program, by the same types.
  return of as unknown as Kind;
}

/** What AWS always answers, though its types leave it open. Throws Error if not. */
export function given<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`AWS answered no ${what}.`);
  return value;
}

type Tags = Readonly<Record<string, string>> | undefined;

/** Tags for a new resource of EC2. */
export function tagged(type: ResourceType, tags: Tags) {
  if (tags === undefined || Object.keys(tags).length === 0) return {};
  return { TagSpecifications: [{ ResourceType: type, Tags: tagList(tags) }] };
}

/** Tags as AWS lists them. */
export function tagList(tags: Tags): { Key: string; Value: string }[] {
  return Object.entries(tags ?? {}).map(([Key, Value]) => ({ Key, Value }));
}

/** The list as a bag. */
export function tagBag(tags: readonly Tag[] | undefined): Record<string, string> {
  return Object.fromEntries((tags ?? []).map(({ Key = "", Value = "" }) => [Key, Value]));
}

/** Filters of EC2 from those of `@pulumi/aws`, and from tags. */
export function filtersOf(filters: unknown, tags: unknown): { Name: string; Values: string[] }[] {
  const listed = (filters ?? []) as readonly { readonly name: string; readonly values: readonly string[] }[];
  return [
    ...listed.map(({ name, values }) => ({ Name: name, Values: [...values] })),
    ...Object.entries((tags ?? {}) as Record<string, string>).map(([key, value]) => ({
      Name: `tag:${key}`,
      Values: [value],
    })),
  ];
}

/** Asks every half second until it holds. Throws Error after `seconds`. */
export async function waitFor(what: string, seconds: number, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`timeout while waiting for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
