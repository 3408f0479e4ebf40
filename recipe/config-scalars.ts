import { z } from "zod";

/** A number, or a string that is exactly one: `pulumi config set --path` writes strings. */
export const whole = (schema: z.ZodNumber) =>
  z.preprocess((value) => (typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value), schema);

/** The same for numbers with a fraction. */
export const decimal = (schema: z.ZodNumber) =>
  z.preprocess((value) => (typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value), schema);

/** True or false, or a string that is exactly one of them. */
export const flag = z.preprocess((value) => (value === "true" ? true : value === "false" ? false : value), z.boolean());
