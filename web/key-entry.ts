import { say } from "./dictionary.ts";
import { byId, sentence } from "./elements.ts";

/** The form that asks for the key. */
export class KeyEntry {
  readonly #section = byId("entry", HTMLElement);
  readonly #key = byId("key", HTMLInputElement);
  readonly #fault = byId("key-fault", HTMLElement);
  readonly #button = byId("open-key", HTMLButtonElement);

  constructor(onKey: (key: string) => void) {
    byId("key-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const key = this.#key.value.trim();
      if (key === "") {
        this.show(say("entry.empty"));
        return;
      }
      this.#button.disabled = true;
      onKey(key);
    });
  }

  /** Shows the form, with the reason why it is shown again. */
  show(fault = ""): void {
    this.#section.hidden = false;
    this.#button.disabled = false;
    this.#fault.replaceChildren(...sentence(fault));
    this.#fault.hidden = fault === "";
    this.#key.setAttribute("aria-invalid", String(fault !== ""));
    this.#key.focus();
    this.#key.select();
  }

  hide(): void {
    this.#section.hidden = true;
    this.#key.value = "";
  }
}
