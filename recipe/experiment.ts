import { z } from "zod";
import { checkArguments, type TrainArguments } from "./arguments.ts";
import { aws } from "./aws/config.ts";
import { experimentFaults } from "./compatibility/experiment.ts";
import {
  budget,
  compute,
  datasetShapes,
  experimentSchema,
  model,
  secretKeys,
  serve,
  storage,
  teardown,
} from "./experiment-schema.ts";
import { eks } from "./eks/config.ts";
import type { FaultFacts } from "./fault.ts";
import { nearest } from "./nearest.ts";

/** An experiment that passed every check that needs nothing but its text. */
export type Experiment = Omit<z.output<typeof experimentSchema>, "train"> & { readonly train: TrainArguments };

/** The experiment, or everything that is wrong with it. */
export type ExperimentResult =
  | { readonly experiment: Experiment; readonly faults?: never }
  | { readonly experiment?: never; readonly faults: readonly FaultFacts[] };

/** Reads the values under `tuneup:` (objects already parsed). Collects all faults instead of stopping at the first. */
export function readExperiment(config: Readonly<Record<string, unknown>>): ExperimentResult {
  const stated = Object.fromEntries(Object.entries(config).filter(([key]) => !isSecretKey(key)));
  const parsed = experimentSchema.safeParse(stated);
  const train = checkArguments(isMap(config["train"]) ? config["train"] : {});
  const faults = [
    ...(parsed.success ? [] : parsed.error.issues.flatMap((issue) => toFaults(issue, config))),
    ...train.faults,
  ];
  if (
    parsed.success &&
    train.arguments["template"] === undefined &&
    !faults.some((f) => f.property === "train.template")
  ) {
    faults.push({
      code: "template-missing",
      property: "train.template",
      message: "is required: training and serving must format the chat in the same way.",
      next: "Qwen models take qwen (Qwen3: qwen3), SmolLM2 takes smollm2.",
    });
  }
  if (!parsed.success || faults.length > 0) return { faults };
  const experiment = { ...parsed.data, train: train.arguments };
  const unfit = experimentFaults(experiment);
  return unfit.length > 0 ? { faults: unfit } : { experiment };
}

function isSecretKey(key: string): boolean {
  return (secretKeys as readonly string[]).includes(key);
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A word in place of a map is what was given for each of its keys: `teardown: keep` is short for its `when`. */
function valueAt(config: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === "string" ? value : (value as Record<PropertyKey, unknown> | undefined)?.[key]),
    config,
  );
}

function toFaults(issue: z.core.$ZodIssue, config: unknown): FaultFacts[] {
  const property = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) =>
      unknownKey([...issue.path, key].map(String).join("."), key, siblings(issue.path, config)),
    );
  }
  if (issue.code === "invalid_union") return unionFaults(issue, config);
  const given = valueAt(config, issue.path);
  if (given === undefined) {
    return [{ code: "config-missing", property, message: `is required: ${describe(issue.path, config)}` }];
  }
  // An address may hold a password.
  const shown = property.endsWith(".url") ? "" : `, got ${JSON.stringify(given)}`;
  return [{ code: "config-value", property, message: `${sentenceOf(issue)}${shown}.` }];
}

/** A union's own message says nothing: report the branch that came nearest. */
function unionFaults(issue: z.core.$ZodIssueInvalidUnion, config: unknown): FaultFacts[] {
  const branches = issue.errors.map((errors) =>
    errors.map((error): z.core.$ZodIssue => ({ ...error, path: [...issue.path, ...error.path] })),
  );
  const value = valueAt(config, issue.path);
  const named = isMap(value) ? datasetShapeOf(value) : undefined;
  const property = issue.path.map(String).join(".");
  const branch = named === undefined || issue.path[0] !== "datasets" ? undefined : branches[datasetKeys.indexOf(named)];
  if (branch !== undefined) return branch.flatMap((error) => toFaults(error, config));
  const choice =
    issue.path[0] === "aws" || issue.path[0] === "eks" ? "auto or a number above 0" : "auto, true or false";
  const message =
    issue.path[0] === "datasets"
      ? `must be a map with one of builtin (identity, general), path, hub, url, datasetInfo; got ${JSON.stringify(value)}.`
      : `must be ${choice}, got ${JSON.stringify(value)}.`;
  return [{ code: "config-value", property, message }];
}

const datasetKeys = Object.keys(datasetShapes) as (keyof typeof datasetShapes)[];

/** Which shape of a dataset is meant: by its `builtin`, else by the key that only it has, else a file. */
function datasetShapeOf(value: Readonly<Record<string, unknown>>): keyof typeof datasetShapes {
  if ("builtin" in value) return value["builtin"] === "general" ? "general" : "identity";
  return datasetKeys.find((key) => key in value) ?? "path";
}

function sentenceOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_value":
      return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.map(String).join(", ")}`;
    case "invalid_type":
      return `must be ${issue.expected === "record" || issue.expected === "object" ? "a map" : `a value of type ${issue.expected}`}`;
    case "too_small":
      if (issue.origin === "array") return "must have at least one entry";
      if (issue.inclusive === false) return `must be above ${String(issue.minimum)}`;
      return `must be at least ${String(issue.minimum)}${issue.origin === "string" ? " character long" : ""}`;
    case "too_big":
      return `must be ${issue.inclusive === false ? "below" : "at most"} ${String(issue.maximum)}`;
    default:
      return issue.message;
  }
}

function shapeAt(path: readonly PropertyKey[], config: unknown): Record<string, z.core.$ZodType> {
  const parts: Record<string, z.ZodObject> = { serve, storage, compute, aws, eks, model, teardown, budget };
  const [first, ...inner] = path;
  if (first === undefined) return experimentSchema.shape;
  if (first !== "datasets") {
    return inner.reduce((shape, key) => shapeOf(objectIn(shape[String(key)])), shapeOf(parts[String(first)]));
  }
  const value = valueAt(config, path.slice(0, 2));
  return datasetShapes[isMap(value) ? datasetShapeOf(value) : "path"].shape;
}

function shapeOf(schema: z.ZodObject | undefined): Record<string, z.core.$ZodType> {
  return schema?.shape ?? {};
}

/** The map under what says its default, or that it may be left out. */
function objectIn(schema: z.core.$ZodType | undefined): z.ZodObject | undefined {
  if (schema instanceof z.ZodObject) return schema;
  const stated = schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault;
  return stated ? objectIn(schema.unwrap()) : undefined;
}

function siblings(path: readonly PropertyKey[], config: unknown): string[] {
  return [...Object.keys(shapeAt(path, config)), ...(path.length === 0 ? secretKeys : [])];
}

function describe(path: readonly PropertyKey[], config: unknown): string {
  const schema = shapeAt(path.slice(0, -1), config)[String(path.at(-1))];
  return (schema instanceof z.ZodType ? schema.description : undefined) ?? "see docs/reference.md.";
}

function unknownKey(property: string, key: string, known: readonly string[]): FaultFacts {
  const close = nearest(key, known);
  return {
    code: "config-unknown",
    property,
    message: `is not a config key. Allowed here: ${known.join(", ")}.`,
    ...(close.length > 0 ? { next: `Did you mean ${close.join(" or ")}?` } : {}),
  };
}
