/**
 * The values under one namespace of a Pulumi config (`tuneup:train`, ...), by their names without it. Maps, lists and
 * nothing else are JSON there; a text stays a text. What does not parse stays as it is, for the schema to refuse.
 */
export function configValues(namespace: string, config: Readonly<Record<string, string>>): Record<string, unknown> {
  const prefix = `${namespace}:`;
  return Object.fromEntries(
    Object.entries(config)
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), parsed(value)]),
  );
}

function parsed(value: string): unknown {
  if (!/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}
