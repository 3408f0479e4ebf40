import { stripVTControlCharacters, styleText } from "node:util";
import type { EngineEvent } from "./automation.ts";
import { durationText } from "./language/duration.ts";
import { say, type TextKey } from "./language/say.ts";
import { cutColumns, padColumns } from "./language/width.ts";

/** What each resource is called in front of people. Everything else in the stack is not shown. */
const titles: Readonly<Record<string, TextKey>> = {
  "tuneup-host:index:Environment": "step.environment",
  "tuneup-host:index:ModelWeights": "step.model",
  "tuneup-host:index:Dataset": "step.dataset",
  "tuneup-host:index:SftJob": "step.job",
  "tuneup-host:index:ChatEndpoint": "step.endpoint",
  "tuneup-host:index:RunCompletion": "step.training",
  // What takes longest of a network, and the machine.
  "aws:ec2/natGateway:NatGateway": "step.network",
  "aws:ebs/volume:Volume": "step.volume",
  "aws:ec2/instance:Instance": "step.machine",
};

const data: ReadonlySet<TextKey> = new Set<TextKey>([
  "step.environment",
  "step.model",
  "step.dataset",
  "step.training",
  "step.volume",
]);

/** Off a terminal a line of progress stays, so that they come this seldom. */
const quietMs = 30_000;

interface Step {
  readonly title: TextKey;
  readonly startedAt: number;
  /** `down` ends by saying itself what is kept; what the resource tells of it is for plain pulumi. */
  readonly quiet: boolean;
  /** Its resource is data: deleting it from the stack deletes nothing. */
  readonly kept: boolean;
  message: string;
}

/** Shows an update as it goes: a line that stays for each step done, and on a terminal one that lives. */
export class Display {
  readonly #out: NodeJS.WriteStream;
  readonly #steps = new Map<string, Step>();
  readonly #errors = new Set<string>();
  readonly #quietMs: number;
  #lastQuiet = 0;
  #lastText = "";
  #later: NodeJS.Timeout | undefined;
  #refreshing = false;

  /** `quiet`: milliseconds between lines of progress off a terminal. */
  constructor(out: NodeJS.WriteStream = process.stdout, quiet = quietMs) {
    this.#out = out;
    this.#quietMs = quiet;
  }

  /** Errors that the engine told, without repetition. */
  get errors(): readonly string[] {
    return [...this.#errors];
  }

  /** A line that stays. */
  say(line: string): void {
    this.#clear();
    this.#out.write(`${line}\n`);
    this.#draw();
  }

  /** Takes the next event of the engine. */
  take(event: EngineEvent): void {
    const { resourcePreEvent: begun, resOutputsEvent: done, resOpFailedEvent: failed, diagnosticEvent: told } = event;
    // A rule that a preview can't judge yet is no news: it decides at `up`.
    if (event.policyEvent?.enforcementLevel === "mandatory") this.#errors.add(ruleText(event.policyEvent));
    if (begun !== undefined) this.#begin(begun.metadata.urn, begun.metadata.op);
    if (done !== undefined) this.#end(done.metadata.urn, done.metadata.op, done.planning === true);
    if (failed !== undefined) this.#fail(failed.metadata.urn);
    if (told !== undefined)
      this.#tell(told.urn, stripVTControlCharacters(told.message).trim(), told.severity, told.ephemeral);
  }

  /** Removes the living line. */
  close(): void {
    this.#clear();
    clearTimeout(this.#later);
    this.#steps.clear();
  }

  #begin(urn: string, op: string): void {
    const title = titleOf(urn);
    this.#refreshing = op === "refresh";
    if (title === undefined || op === "same" || op === "refresh") return;
    this.#steps.set(urn, {
      title,
      startedAt: performance.now(),
      quiet: op === "delete",
      kept: op === "delete" && data.has(title),
      message: textOf(verbs, op),
    });
    this.#draw();
  }

  #end(urn: string, op: string, planning: boolean): void {
    const step = this.#steps.get(urn);
    if (step === undefined) {
      const title = titleOf(urn);
      if (title !== undefined && op === "same" && !this.#refreshing)
        this.say(line("=", title, say("display.unchanged")));
      return;
    }
    this.#steps.delete(urn);
    if (planning) {
      this.say(line("+", step.title, textOf(planned, op)));
      return;
    }
    const time = durationText(performance.now() - step.startedAt);
    const ending = step.kept ? say("display.kept") : say("display.took", { what: textOf(done, op), time });
    this.say(line(styleText("green", "✓"), step.title, ending));
  }

  #fail(urn: string): void {
    const step = this.#steps.get(urn);
    this.#steps.delete(urn);
    if (step === undefined) return;
    const time = durationText(performance.now() - step.startedAt);
    this.say(line(styleText("red", "✗"), step.title, say("display.failed", { time })));
  }

  #tell(urn: string | undefined, message: string, severity: string, ephemeral: boolean | undefined): void {
    // What an experiment without an endpoint does not put out is no news.
    if (message === "" || message.startsWith("Undefined value (")) return;
    const step = urn === undefined ? undefined : this.#steps.get(urn);
    if (severity === "error") {
      this.#errors.add(message);
    } else if (ephemeral === true) {
      if (step === undefined) return;
      step.message = message;
      this.#draw();
    } else if (step?.quiet === true) {
      return;
    } else if (severity === "warning" || (severity === "info" && urn !== undefined && titleOf(urn) !== undefined)) {
      this.say(`  ${message}`);
    }
  }

  #draw(): void {
    const current = [...this.#steps.values()].at(-1);
    if (current === undefined) return;
    const text = `${padColumns(say(current.title), 13)} ${current.message}`;
    if (this.#out.isTTY) this.#out.write(`\r\u001b[K… ${cutColumns(text, Math.max(this.#out.columns - 4, 20))}`);
    else this.#tellSeldom(text, current.startedAt);
  }

  #tellSeldom(text: string, startedAt: number): void {
    if (text === this.#lastText) return;
    const now = performance.now();
    const wait = Math.max(startedAt, this.#lastQuiet) + this.#quietMs - now;
    if (wait > 0) {
      // What is told once and lasts is said too, such as what a Pod waits for.
      this.#later ??= setTimeout(() => {
        this.#later = undefined;
        this.#draw();
      }, wait).unref();
      return;
    }
    this.#lastQuiet = now;
    this.#lastText = text;
    this.#out.write(`… ${text}\n`);
  }

  #clear(): void {
    if (this.#out.isTTY) this.#out.write("\r\u001b[K");
  }
}

type Texts = Readonly<Record<string, TextKey>>;

const verbs: Texts = {
  create: "going.create",
  update: "going.update",
  replace: "going.replace",
  "create-replacement": "going.replace",
  delete: "going.delete",
  "delete-replaced": "going.delete",
};

const done: Texts = {
  create: "done.create",
  update: "done.update",
  replace: "done.replace",
  "create-replacement": "done.create-replacement",
  delete: "done.delete",
  "delete-replaced": "done.delete-replaced",
};

const planned: Texts = {
  create: "planned.create",
  update: "planned.update",
  replace: "planned.replace",
  "create-replacement": "planned.replace",
  delete: "planned.delete",
  "delete-replaced": "planned.delete-replaced",
};

/** The text of an operation of the engine's; its own name where there is none. */
function textOf(texts: Texts, operation: string): string {
  const key = texts[operation];
  return key === undefined ? operation : say(key);
}

function line(mark: string, title: TextKey, text: string): string {
  return `${mark} ${padColumns(say(title), 13)} ${text}`;
}

/** What breaks a rule of the policy pack: which resource, which rule, and what has to be so. */
function ruleText({ resourceUrn = "", policyName, message }: NonNullable<EngineEvent["policyEvent"]>): string {
  const [type = "", name = ""] = resourceUrn.split("::").slice(2);
  const what = resourceUrn === "" ? "" : `${type.split("$").at(-1) ?? ""} ${name}: `;
  return `${what}${stripVTControlCharacters(message).trim()} (${policyName}, docs/aws.md)`;
}

function titleOf(urn: string): TextKey | undefined {
  const type = urn.split("::")[2]?.split("$").at(-1) ?? "";
  return titles[type];
}
