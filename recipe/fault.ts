/** Who has to act on a fault: the user, the machine or network around us, or we ourselves. Decides retry, exit code and tone. */
export type Blame = "user" | "infrastructure" | "bug";

/** The facts of a fault, kept as fields so that every layer can print or act on them. */
export interface FaultFacts {
  /** Stable name of the kind of fault, kebab-case, e.g. `python-missing`. */
  readonly code: string;
  /** Config key or property at fault, e.g. `train.learning_rate`. */
  readonly property?: string;
  /** What was wrong, one sentence with the value given and the values allowed. */
  readonly message: string;
  /** What to do next, one sentence. */
  readonly next?: string;
  /** Default: `user`. */
  readonly blame?: Blame;
}

/**
 * A fault that is told in a sentence and never as a stack trace.
 * Crosses process borders as `FaultFacts` (see `toFacts`).
 */
export class Fault extends Error {
  readonly code: string;
  readonly property: string | undefined;
  readonly next: string | undefined;
  readonly blame: Blame;

  constructor(facts: FaultFacts, options?: ErrorOptions) {
    super(facts.message, options);
    this.name = "Fault";
    this.code = facts.code;
    this.property = facts.property;
    this.next = facts.next;
    this.blame = facts.blame ?? "user";
  }

  /** What was wrong and what to do next, for where the property is named beside it. */
  get reason(): string {
    return this.next === undefined ? this.message : `${this.message} ${this.next}`;
  }

  /** The fault in one line: property, what was wrong, what to do next. */
  get sentence(): string {
    return this.property === undefined ? this.reason : `${this.property}: ${this.reason}`;
  }

  /** The plain fields, to send or store. */
  toFacts(): FaultFacts {
    return {
      code: this.code,
      ...(this.property === undefined ? {} : { property: this.property }),
      message: this.message,
      ...(this.next === undefined ? {} : { next: this.next }),
      blame: this.blame,
    };
  }
}

/** Any thrown value as a Fault: ours as it is, everything else as a bug that keeps its cause. */
export function asFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new Fault({ code: "unexpected", message, blame: "bug" }, { cause: thrown });
}
