/** How long a machine of EC2 is waited for, from the variables of this process; users never need them. */
export interface AwsTiming {
  /** Between two looks at a machine that starts, in milliseconds. */
  readonly poll: number;
  /** How long it may take until SSM knows it, until it lets in, and until its first start is over: each, in milliseconds. */
  readonly patience: number;
}

/** The times as `TUNEUP_AWS_POLL_MS` and `TUNEUP_AWS_PATIENCE_MS` say; 3 s and 10 minutes. */
export function awsTiming(environment: Readonly<Record<string, string | undefined>>): AwsTiming {
  const read = (name: string, standard: number): number => {
    const value = Number(environment[`TUNEUP_AWS_${name}`] ?? NaN);
    return Number.isFinite(value) && value > 0 ? value : standard;
  };
  return { poll: read("POLL_MS", 3000), patience: read("PATIENCE_MS", 600_000) };
}
