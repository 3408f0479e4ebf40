import type { z } from "zod";

/** What we read of a JSON Schema. */
export interface JsonSchema {
  readonly $schema?: string;
  readonly title?: string;
  readonly type?: string | readonly string[];
  readonly pattern?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly required?: readonly string[];
}

/** Types and defaults as an experiment has them when it is read; what is required as a user has to write it. */
export function writtenSchema(schema: z.ZodType): JsonSchema {
  const options = { target: "draft-7", unrepresentable: "any" } as const;
  const read = schema.toJSONSchema({ ...options, io: "output" }) as JsonSchema;
  const written = schema.toJSONSchema({ ...options, io: "input" }) as JsonSchema;
  return merged(read, written);
}

function merged(read: JsonSchema, written: JsonSchema): JsonSchema {
  const properties = Object.entries(read.properties ?? {}).map(
    ([name, property]) => [name, merged(property, written.properties?.[name] ?? {})] as const,
  );
  const branches = read.anyOf?.map((branch, index) => merged(branch, written.anyOf?.[index] ?? {}));
  return {
    ...read,
    ...(read.items === undefined ? {} : { items: merged(read.items, written.items ?? {}) }),
    ...(branches === undefined ? {} : { anyOf: branches }),
    ...(properties.length > 0 ? { properties: Object.fromEntries(properties), required: written.required ?? [] } : {}),
  };
}
