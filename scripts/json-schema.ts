import { fileURLToPath } from "node:url";
import { type JsonSchema, writtenSchema } from "./schema-of.ts";
import { ownedArguments } from "../recipe/arguments.ts";
import { experimentSchema, secretKeys } from "../recipe/experiment-schema.ts";
import known from "../recipe/llamafactory-arguments.json" with { type: "json" };

/** The JSON Schema that editors complete and check stack files with; beside them, so that each names it by `./`. */
export const jsonSchemaPath = fileURLToPath(new URL("../stacks/experiment.schema.json", import.meta.url));

/** One argument of LLaMA-Factory's. */
interface Argument {
  readonly kinds: readonly string[];
  readonly default?: unknown;
  readonly choices?: readonly unknown[];
  readonly help: string;
}

/** The text of stacks/experiment.schema.json. Draft 7 is what every YAML editor knows. */
export function jsonSchemaText(): string {
  return `${JSON.stringify(stackSchema(), null, 1)}\n`;
}

/** A whole stack file: our keys strictly, Pulumi's own and other providers' as they come. */
export function stackSchema(): JsonSchema {
  const { properties = {}, required = [] } = writtenSchema(experimentSchema);
  const own = Object.entries(properties).map(
    ([name, property]) => [`tuneup:${name}`, asWritten(name === "train" ? trainSchema() : property)] as const,
  );
  const secrets = secretKeys.map((key) => [`tuneup:${key}`, secret] as const);
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Experiment of tuneup",
    type: "object",
    properties: {
      config: {
        type: "object",
        properties: {
          ...Object.fromEntries(own),
          ...Object.fromEntries(secrets),
          "tuneup:teardown": teardown(properties["teardown"] ?? {}),
        },
        // aws:region and the like belong to other providers.
        patternProperties: { "^(?!tuneup:)[^:]+:.+$": {} },
        required: required.map((name) => `tuneup:${name}`),
        additionalProperties: false,
      },
      encryptionsalt: { type: "string", description: "Written by Pulumi." },
      encryptedkey: { type: "string", description: "Written by Pulumi." },
      secretsprovider: { type: "string", description: "Written by Pulumi." },
      environment: { description: "Pulumi ESC environments." },
    },
    required: ["config"],
    additionalProperties: false,
  };
}

const secret: JsonSchema = {
  description: "A secret: `pulumi config set --secret`.",
  type: "object",
  properties: { secure: { type: "string" } },
  required: ["secure"],
  additionalProperties: false,
};

/** `teardown: after-training` is short for its `when`. */
function teardown(schema: JsonSchema): JsonSchema {
  const { description = "", default: standard, ...whole } = asWritten(schema);
  const short = whole.properties?.["when"] ?? {};
  return { description, ...(standard === undefined ? {} : { default: standard }), anyOf: [short, whole] };
}

function trainSchema(): JsonSchema {
  const properties = Object.entries(known as Readonly<Record<string, Argument>>)
    .filter(([name]) => !(name in ownedArguments))
    .map(([name, argument]) => [name, argumentSchema(argument)] as const);
  return {
    description: "LLaMA-Factory's own arguments, names and values unchanged.",
    type: "object",
    properties: Object.fromEntries(properties),
    required: ["template"],
    additionalProperties: false,
  };
}

function argumentSchema({ kinds, choices, default: standard, help }: Argument): JsonSchema {
  const any = kinds.includes("any");
  const values = choices === undefined ? {} : { enum: [...choices, ...(kinds.includes("null") ? [null] : [])] };
  return {
    description: help,
    ...(any || choices !== undefined ? {} : { type: kinds.length === 1 ? kinds[0] : kinds }),
    ...values,
    ...(standard === null || standard === undefined ? {} : { default: standard }),
  };
}

const texts: Readonly<Record<string, string>> = {
  integer: "^[+-]?\\d+$",
  number: "^[+-]?(\\d+\\.?\\d*|\\.\\d+)([eE][+-]?\\d+)?$",
  boolean: "^(true|false)$",
};

/** `pulumi config set --path` writes numbers and flags as texts, and those are taken: see recipe/experiment-schema.ts. */
function asWritten(schema: JsonSchema): JsonSchema {
  const { properties, items, anyOf, type, additionalProperties } = schema;
  const kinds = type === undefined ? [] : [type].flat();
  const pattern = kinds.includes("string") ? undefined : kinds.map((kind) => texts[kind]).find(Boolean);
  return {
    ...schema,
    ...(pattern === undefined ? {} : { type: [...kinds, "string"], pattern }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, asWritten(inner)])),
        }),
    ...(items === undefined ? {} : { items: asWritten(items) }),
    ...(anyOf === undefined ? {} : { anyOf: anyOf.map(asWritten) }),
    ...(typeof additionalProperties === "object" ? { additionalProperties: asWritten(additionalProperties) } : {}),
  };
}
