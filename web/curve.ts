import uPlot from "uplot";
import type { RunMetric } from "../recipe/lifecycle.ts";
import { say } from "./dictionary.ts";
import { make } from "./elements.ts";
import { short } from "./formats.ts";

const height = 210;

/** Loss and learning rate over the steps. Fits its container and follows the colour scheme. */
export class Curve {
  readonly element = make("div", { class: "curve", role: "img" });
  readonly #scheme = matchMedia("(prefers-color-scheme: dark)");
  #plot: uPlot | undefined;
  #metrics: readonly RunMetric[] = [];

  constructor() {
    new ResizeObserver(() => this.#fit()).observe(this.element);
    this.#scheme.addEventListener("change", () => {
      this.#plot?.destroy();
      this.#plot = undefined;
      this.#draw();
    });
  }

  /** Shows these metrics. A step that was repeated after an interruption counts as it went the last time. */
  show(metrics: readonly RunMetric[]): void {
    const steps = new Map(metrics.filter(({ loss }) => loss !== undefined).map((metric) => [metric.step, metric]));
    const latest = [...steps.values()].sort((one, other) => one.step - other.step);
    if (latest.length === this.#metrics.length && latest.at(-1)?.at === this.#metrics.at(-1)?.at) return;
    this.#metrics = latest;
    const [first, last] = [latest[0]?.loss ?? 0, latest.at(-1)?.loss ?? 0];
    const values = { first: short(first), last: short(last), steps: latest.at(-1)?.step ?? 0 };
    this.element.setAttribute("aria-label", say("curve", values));
    this.#draw();
  }

  #data(): uPlot.AlignedData {
    return [
      this.#metrics.map(({ step }) => step),
      this.#metrics.map(({ loss }) => loss ?? null),
      this.#metrics.map(({ learningRate }) => learningRate ?? null),
    ];
  }

  #draw(): void {
    // Without a width there is nothing to draw on yet: the observer calls again.
    if (this.#metrics.length === 0 || this.element.clientWidth === 0) return;
    if (this.#plot === undefined) this.#plot = new uPlot(this.#options(), this.#data(), this.element);
    else this.#plot.setData(this.#data());
  }

  #fit(): void {
    if (this.#plot === undefined) this.#draw();
    else if (this.element.clientWidth > 0) this.#plot.setSize({ width: this.element.clientWidth, height });
  }

  #options(): uPlot.Options {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--muted"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    // The values under the pointer; without one, those of the last step.
    const shown = (plot: uPlot, value: number | null, series: number): string => {
      const there = value ?? plot.data[series]?.at(-1) ?? null;
      return there === null ? "–" : short(there);
    };
    const points = { show: this.#metrics.length < 3 };
    return {
      width: this.element.clientWidth,
      height,
      padding: [10, 4, 0, 0],
      scales: { x: { time: false } },
      series: [
        { label: say("step"), value: shown },
        { label: say("loss"), stroke: colour("--accent"), width: 2, value: shown, points },
        {
          label: say("rate.learning"),
          stroke: colour("--second"),
          width: 1.5,
          dash: [5, 4],
          scale: "rate",
          value: shown,
          points,
        },
      ],
      axes: [
        { ...axis, size: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] },
        { ...axis, size: 38 },
        {
          ...axis,
          scale: "rate",
          // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the enum exists in the types alone
          side: 1,
          size: 48,
          grid: { show: false },
          values: (_, values) => values.map((value) => (value === 0 ? "0" : value.toExponential(0))),
        },
      ],
      cursor: { drag: { x: false, y: false } },
    };
  }
}
