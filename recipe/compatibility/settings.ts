import { argumentDefault, type ArgumentValue, type TrainArguments } from "../arguments.ts";

/** Arguments as LLaMA-Factory sees them: what is given, else its own default. */
export class Settings {
  readonly #given: TrainArguments;

  constructor(given: TrainArguments) {
    this.#given = given;
  }

  /** The value or the default; null where there is neither, or where null is given. */
  value(name: string): ArgumentValue {
    const given = this.#given[name];
    return given === undefined ? argumentDefault(name) : given;
  }

  /** Is it set to anything, by the user or by default? */
  has(name: string): boolean {
    return this.value(name) !== null;
  }

  /** Is the flag, or anything that Python takes for true, there? */
  on(name: string): boolean {
    const value = this.value(name);
    if (Array.isArray(value)) return value.length > 0;
    if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
    return Boolean(value);
  }

  /** The number, NaN where it is none: every comparison with it is false. */
  number(name: string): number {
    const value = this.value(name);
    return typeof value === "number" ? value : Number.NaN;
  }

  /** The text, "" where it is none. */
  text(name: string): string {
    const value = this.value(name);
    return typeof value === "string" ? value : "";
  }

  /** Is its text one of these? */
  is(name: string, ...texts: readonly string[]): boolean {
    return texts.includes(this.text(name));
  }

  /** Its parts: a list as it is, a text at its commas, as LLaMA-Factory splits it. */
  list(name: string): readonly string[] {
    const value = this.value(name);
    if (Array.isArray(value)) return value.map(String);
    return typeof value === "string" ? value.split(",").map((part) => part.trim()) : [];
  }

  /** It as a map: a map as it is, JSON text that begins with `{` parsed; undefined for a path or broken JSON. */
  map(name: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.value(name);
    if (typeof value === "string") return value.startsWith("{") ? parsedMap(value) : undefined;
    return typeof value === "object" && !Array.isArray(value)
      ? ((value as Record<string, unknown> | null) ?? undefined)
      : undefined;
  }

  /** Does the DeepSpeed config, written inline, say ZeRO stage 3? */
  get zero3(): boolean {
    const zero = this.map("deepspeed")?.["zero_optimization"];
    return typeof zero === "object" && zero !== null && (zero as { stage?: unknown }).stage === 3;
  }

  /** Is there evaluation: asked for, or by a strategy? */
  get evaluates(): boolean {
    return this.on("do_eval") || !this.is("eval_strategy", "no");
  }

  /** Are rows held back for evaluation? LLaMA-Factory compares with 1e-6. */
  get holdsBack(): boolean {
    return this.number("val_size") > 1e-6;
  }
}

function parsedMap(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
