import { byId } from "./elements.ts";

/** How the models are asked. */
export interface Settings {
  readonly system: string;
  readonly temperature: number;
  /** Undefined: the endpoint's own ceiling. */
  readonly maxTokens: number | undefined;
}

const place = "tuneup.settings";
const defaults: Settings = { system: "", temperature: 0.7, maxTokens: undefined };

/** The settings dialog. Values stay in this tab's session. */
export class SettingsDialog {
  readonly #dialog = byId("settings", HTMLDialogElement);
  readonly #system = byId("system", HTMLTextAreaElement);
  readonly #temperature = byId("temperature", HTMLInputElement);
  readonly #shown = byId("temperature-value", HTMLOutputElement);
  readonly #maxTokens = byId("max-tokens", HTMLInputElement);
  #settings = read();

  constructor() {
    byId("open-settings", HTMLButtonElement).addEventListener("click", () => {
      this.#show(this.#settings);
      this.#dialog.showModal();
    });
    byId("reset-settings", HTMLButtonElement).addEventListener("click", () => this.#show(defaults));
    this.#temperature.addEventListener("input", () => {
      this.#shown.value = Number(this.#temperature.value).toFixed(1);
    });
    this.#dialog.addEventListener("close", () => this.#take());
    // A click on the backdrop is a click on the dialog itself.
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
  }

  get value(): Settings {
    return this.#settings;
  }

  #show(settings: Settings): void {
    this.#system.value = settings.system;
    this.#temperature.value = String(settings.temperature);
    this.#shown.value = settings.temperature.toFixed(1);
    this.#maxTokens.value = settings.maxTokens === undefined ? "" : String(settings.maxTokens);
  }

  #take(): void {
    const maxTokens = Math.floor(Number(this.#maxTokens.value));
    this.#settings = {
      system: this.#system.value,
      temperature: Number(this.#temperature.value),
      maxTokens: maxTokens >= 1 ? maxTokens : undefined,
    };
    sessionStorage.setItem(place, JSON.stringify(this.#settings));
  }
}

function read(): Settings {
  try {
    return { ...defaults, ...(JSON.parse(sessionStorage.getItem(place) ?? "{}") as Partial<Settings>) };
  } catch {
    return defaults;
  }
}
