/** A resource as a program declares it: what Pulumi's engine hands to an analyzer. */
export interface DeclaredResource {
  /** Type token, such as `aws:ebs/volume:Volume`. */
  readonly type: string;
  readonly name: string;
  readonly urn: string;
  readonly inputs: Inputs;
  /** URNs of the resources that an input is made from, by input. Default: none is known. */
  readonly dependencies?: Readonly<Record<string, readonly string[]>>;
}

/** Inputs of a resource. */
export type Inputs = Readonly<Record<string, unknown>>;

/** What breaks a rule. */
export interface Violation {
  readonly rule: string;
  readonly urn: string;
  /** The input at fault, what was found there and what has to be there. */
  readonly message: string;
}

/** A rule about each resource by itself. */
export interface ResourceRule {
  readonly name: string;
  /** One sentence: what has to be so. */
  readonly description: string;
  /** Names of the same rule in AWS Security Hub (`EC2.8`) and Checkov (`CKV_AWS_79`). */
  readonly known: readonly string[];
  /** What is wrong with it, one sentence each; nothing for a type that the rule is not about. */
  readonly check: (resource: DeclaredResource) => readonly string[];
}

/** A rule about all resources of a stack together, such as that each bucket has its lock. */
export interface StackRule {
  readonly name: string;
  readonly description: string;
  readonly known: readonly string[];
  readonly check: (
    resources: readonly DeclaredResource[],
  ) => readonly { readonly urn: string; readonly message: string }[];
}

/** The map at a key; an empty one where there is none. */
export function mapAt(inputs: Inputs, key: string): Inputs {
  const value = inputs[key];
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Inputs) : {};
}

/** The maps in the list at a key; a single map counts as a list of one. */
export function mapsAt(inputs: Inputs, key: string): readonly Inputs[] {
  const value = inputs[key];
  const list: readonly unknown[] = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return list.filter((one): one is Inputs => typeof one === "object" && one !== null);
}

/** The texts in the list at a key; a single text counts as a list of one. */
export function textsAt(inputs: Inputs, key: string): readonly string[] {
  const value = inputs[key];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.filter((one) => typeof one === "string");
}

/** Launch templates write flags as texts. */
export function isTrue(value: unknown): boolean {
  return value === true || value === "true";
}

/** Does a resource belong to another by the input of this name: made from it, or naming it? */
export function belongsTo(part: DeclaredResource, input: string, whole: DeclaredResource, named: string): boolean {
  if (part.dependencies?.[input]?.includes(whole.urn) === true) return true;
  const name = whole.inputs[named];
  return typeof name === "string" && part.inputs[input] === name;
}

/** A value as a sentence shows it. */
export function shown(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
