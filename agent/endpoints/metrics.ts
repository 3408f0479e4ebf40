/** Upper bounds in seconds: from a cached greeting to a long answer on a CPU. */
const buckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

class Histogram {
  readonly #counts = buckets.map(() => 0);
  #count = 0;
  #sum = 0;

  observe(seconds: number): void {
    this.#count += 1;
    this.#sum += seconds;
    buckets.forEach((bound, index) => {
      if (seconds <= bound) this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    });
  }

  lines(name: string, help: string): string[] {
    return [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} histogram`,
      ...buckets.map((bound, index) => `${name}_bucket{le="${bound}"} ${this.#counts[index] ?? 0}`),
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

/** What the gateway counts, as Prometheus reads it. */
export class Metrics {
  readonly #counters = new Map<string, { readonly help: string; readonly values: Map<string, number> }>();
  readonly #seconds = new Histogram();
  readonly #firstToken = new Histogram();
  inFlight = 0;

  request(route: string, status: number): void {
    this.#count("tuneup_requests_total", "Requests by route and status.", { route, status: String(status) }, 1);
  }

  tokens(model: string, prompt: number, completion: number): void {
    const help = "Tokens read and written, as counted by the engine.";
    this.#count("tuneup_tokens_total", help, { model, kind: "prompt" }, prompt);
    this.#count("tuneup_tokens_total", help, { model, kind: "completion" }, completion);
  }

  restart(engine: string): void {
    this.#count("tuneup_engine_restarts_total", "Times that an engine ended and was started again.", { engine }, 1);
  }

  /** Seconds from the whole request to its whole answer. */
  completed(seconds: number): void {
    this.#seconds.observe(seconds);
  }

  /** Seconds from the whole request to its first text. */
  firstToken(seconds: number): void {
    this.#firstToken.observe(seconds);
  }

  /** The exposition text; `gauges` are read at this moment. */
  text(
    gauges: readonly { readonly name: string; readonly help: string; readonly labels: string; value: number }[],
  ): string {
    const lines = [...this.#counters].flatMap(([name, { help, values }]) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} counter`,
      ...[...values].map(([labels, value]) => `${name}${labels} ${value}`),
    ]);
    let last = "";
    for (const { name, help, labels, value } of gauges) {
      if (name !== last) lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`);
      last = name;
      lines.push(`${name}${labels} ${value}`);
    }
    lines.push(
      ...this.#seconds.lines("tuneup_completion_seconds", "Time of a whole completion."),
      ...this.#firstToken.lines("tuneup_first_token_seconds", "Time to the first text of a completion."),
    );
    return `${lines.join("\n")}\n`;
  }

  #count(name: string, help: string, labels: Readonly<Record<string, string>>, by: number): void {
    const counter = this.#counters.get(name) ?? { help, values: new Map<string, number>() };
    this.#counters.set(name, counter);
    const key = labelText(labels);
    counter.values.set(key, (counter.values.get(key) ?? 0) + by);
  }
}

/** `{a="1",b="2"}` with the escapes of the exposition format. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  const escaped = (value: string): string => value.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(",")}}`;
}
