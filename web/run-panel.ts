import type { RunView } from "../recipe/protocol.ts";
import { Curve } from "./curve.ts";
import { language, type Phrase, say } from "./dictionary.ts";
import { byId, make, sentence } from "./elements.ts";
import { byteSize, clock, leaves } from "./formats.ts";
import { progressOf } from "./notice.ts";
import type { Standing } from "./run-state.ts";

/** The panel with the run's state, curve, result, artifacts and config. */
export class RunPanel {
  readonly #panel = byId("run", HTMLElement);
  readonly #body = byId("run-body", HTMLElement);
  /** Below this width the panel lies over the chat (as in style.css). */
  readonly #wide = matchMedia("(min-width: 1024px)");
  readonly #chat = byId("chat", HTMLElement);
  readonly #toggle = byId("open-run", HTMLButtonElement);
  readonly #curve = new Curve();
  readonly #head = make("div", { class: "head" });
  readonly #curvePlace = make("div", {}, make("p", { class: "remark" }, say("curve.none")));
  readonly #facts = make("div");
  #drawn = "";

  constructor() {
    this.#body.append(this.#head, this.#curvePlace, this.#facts);
    this.#toggle.addEventListener("click", () => this.open(!this.isOpen));
    this.#wide.addEventListener("change", () => this.open(this.isOpen));
    byId("close-run", HTMLButtonElement).addEventListener("click", () => {
      this.open(false);
      this.#toggle.focus();
    });
  }

  get isOpen(): boolean {
    return !this.#panel.hidden;
  }

  open(open: boolean): void {
    this.#panel.hidden = !open;
    this.#toggle.setAttribute("aria-expanded", String(open));
    document.body.classList.toggle("with-run", open);
    this.#chat.inert = open && !this.#wide.matches;
  }

  show(view: RunView, standing: Standing): void {
    const drawn = JSON.stringify([view.run, view.endpoint.models, view.manifest, view.config, standing]);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#head.replaceChildren(...headOf(view, standing));
      // Sections that were opened stay open over a redraw.
      const open = new Set([...this.#facts.querySelectorAll("details[open]")].map((one) => one.id));
      this.#facts.replaceChildren(...sectionsOf(view));
      for (const one of this.#facts.querySelectorAll("details")) one.open ||= open.has(one.id);
    }
    if (!view.metrics.some(({ loss }) => loss !== undefined)) return;
    if (!this.#curve.element.isConnected) this.#curvePlace.replaceChildren(this.#curve.element);
    this.#curve.show(view.metrics);
  }
}

function headOf(view: RunView, standing: Standing): Node[] {
  const { run } = view;
  if (run === null) return [make("p", { class: "remark" }, say("run.none"))];
  const total = Math.max(run.totalSteps, 1);
  const state = make("span", { class: "chip", "data-tone": toneOf(run.state) }, say(`state.${run.state}`));
  const count = run.totalSteps === 0 ? "" : say("progress", { step: run.step, total: run.totalSteps });
  const bar = make("progress", {
    max: String(total),
    value: String(run.step),
    "aria-label": say(`state.${run.state}`),
  });
  const line = progressOf(view).split(" · ").slice(1).join(" · ");
  const reason = run.fault === undefined ? "" : standing.detail;
  return [
    make("div", { class: "row" }, state, make("span", { class: "count" }, count)),
    bar,
    ...[line, reason].filter((text) => text !== "").map((text) => make("p", { class: "remark" }, ...sentence(text))),
  ];
}

function toneOf(state: string): string {
  if (state === "complete" || state === "ready") return "good";
  return ["failed", "stopped", "interrupted", "down"].includes(state) ? "bad" : "busy";
}

function sectionsOf(view: RunView): Node[] {
  const { manifest, run } = view;
  const bytes = manifest?.files.reduce((sum, file) => sum + file.bytes, 0) ?? 0;
  const number = new Intl.NumberFormat(language);
  const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const facts: [Phrase, string | undefined][] = [
    ["fact.run", run?.run],
    ["fact.took", manifest === null ? undefined : clock(manifest.trainSeconds)],
    ["fact.finalLoss", manifest?.finalLoss?.toFixed(3)],
    ["fact.tokens", manifest?.totalTokens === undefined ? undefined : number.format(manifest.totalTokens)],
    ["fact.attempts", run === null ? undefined : String(run.attempt)],
    ["fact.completed", manifest === null ? undefined : moment.format(new Date(manifest.completedAt))],
    ["fact.size", manifest === null ? undefined : byteSize(bytes)],
  ];
  const models = view.endpoint.models.map(({ id, state, detail }) =>
    make(
      "li",
      {},
      make("span", { class: "name" }, id),
      make("span", { class: "chip", "data-tone": toneOf(state) }, say(`state.${state}`)),
      detail === undefined || state === "ready" ? undefined : make("small", {}, detail),
    ),
  );
  return [
    make("h3", {}, say("section.result")),
    tableOf(facts.flatMap(([phrase, value]) => (value === undefined ? [] : [[say(phrase), value]]))),
    make("h3", {}, say("section.models")),
    make("ul", { class: "models" }, ...models),
    ...(manifest === null ? [] : [folded("artifacts", "section.artifacts", filesOf(manifest.files))]),
    folded("config", "section.config", tableOf(leaves(view.config), "config")),
  ];
}

function filesOf(files: readonly { readonly path: string; readonly bytes: number }[]): HTMLElement {
  return tableOf(
    files.map(({ path, bytes }) => [path, byteSize(bytes)]),
    "files",
  );
}

function folded(id: string, title: Phrase, content: HTMLElement): HTMLElement {
  return make("details", { id }, make("summary", {}, say(title)), content);
}

function tableOf(rows: readonly (readonly string[])[], kind = ""): HTMLElement {
  const lines = rows.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value)));
  return make("table", { class: `facts ${kind}` }, make("tbody", {}, ...lines));
}
