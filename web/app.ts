import type { RunView } from "../recipe/protocol.ts";
import { Chat } from "./chat.ts";
import { Composer } from "./composer.ts";
import { Conversation } from "./conversation.ts";
import { say, translatePage } from "./dictionary.ts";
import { byId, make } from "./elements.ts";
import { Endpoint, type EndpointError } from "./endpoint.ts";
import { sentenceOf } from "./failures.ts";
import { findKey, forgetKey, keepKey } from "./key.ts";
import { KeyEntry } from "./key-entry.ts";
import { Notice } from "./notice.ts";
import { RunPanel } from "./run-panel.ts";
import { type Standing, standingOf } from "./run-state.ts";
import { RunWatch } from "./run-watch.ts";
import { SettingsDialog } from "./settings.ts";

/** The page: the key's form until a key is accepted, then chat and run. */
class App {
  readonly #page = byId("page", HTMLElement);
  readonly #hero = byId("hero", HTMLElement);
  readonly #chip = byId("state", HTMLElement);
  readonly #notice = new Notice();
  readonly #panel = new RunPanel();
  readonly #settings = new SettingsDialog();
  readonly #entry = new KeyEntry((key) => this.#open(key));
  readonly #composer = new Composer(
    (question, models) => this.#ask(question, models),
    () => this.#chat?.stop(),
  );
  readonly #wide = matchMedia("(min-width: 1024px)");
  #chat: Chat | undefined;
  #watch: RunWatch | undefined;
  #models: readonly string[] = [];
  #heroOf = "";

  start(): void {
    byId("new-chat", HTMLButtonElement).addEventListener("click", () => {
      this.#chat?.clear();
      this.#composer.focus();
    });
    byId("leave", HTMLButtonElement).addEventListener("click", () => this.#leave());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#escape();
    });
    addEventListener("hashchange", () => this.#begin());
    this.#begin();
  }

  #begin(): void {
    const key = findKey();
    if (key === undefined) this.#leave();
    else this.#open(key);
  }

  /** Tries a key; the page opens with the first answer to it. */
  #open(key: string): void {
    this.#watch?.stop();
    this.#chat?.stop();
    this.#chat = undefined;
    const endpoint = new Endpoint(key);
    this.#models = [];
    this.#watch = new RunWatch(
      endpoint,
      (view) => this.#show(view, endpoint, key),
      (error) => this.#fail(error),
    );
  }

  #show(view: RunView, endpoint: Endpoint, key: string): boolean {
    if (this.#chat === undefined) this.#enter(endpoint, key);
    const standing = standingOf(view);
    if (this.#models.length < view.models.length) void this.#learnModels(endpoint, view, standing);
    byId("experiment", HTMLElement).textContent = view.experiment;
    document.title = `${view.experiment} · tuneup`;
    this.#stand(standing, view);
    this.#panel.show(view, standing);
    this.#drawHero(view, standing);
    this.#composer.show(this.#models.length > 0 ? this.#models : view.models, view, standing.ready);
    return standing.ready;
  }

  async #learnModels(endpoint: Endpoint, view: RunView, standing: Standing): Promise<void> {
    try {
      this.#models = await endpoint.models();
      this.#composer.show(this.#models, view, standing.ready);
    } catch {
      // The view has named them; the next look tries again.
    }
  }

  #enter(endpoint: Endpoint, key: string): void {
    keepKey(key);
    this.#entry.hide();
    this.#page.hidden = false;
    document.body.classList.add("open");
    this.#panel.open(this.#wide.matches);
    this.#chat = new Chat(endpoint, new Conversation(sessionStorage), {
      settings: () => this.#settings.value,
      onBusy: (busy) => this.#composer.busy(busy),
      onRefused: () => this.#leave(say("entry.changed")),
    });
    this.#composer.focus();
  }

  #fail(error: EndpointError): void {
    if (error.status === 401) {
      this.#leave(this.#chat === undefined ? say("entry.wrong") : say("entry.changed"));
      return;
    }
    const detail = sentenceOf(error, false);
    if (this.#chat === undefined) this.#entry.show(detail);
    const standing: Standing = {
      tone: "bad",
      word: say("state.offline"),
      ready: false,
      title: say("state.offline"),
      detail,
      fraction: undefined,
    };
    this.#stand(standing, undefined);
  }

  #leave(reason = ""): void {
    forgetKey();
    this.#watch?.stop();
    this.#chat?.stop();
    this.#chat = undefined;
    this.#page.hidden = true;
    document.body.classList.remove("open");
    document.title = "tuneup";
    this.#entry.show(reason);
  }

  #stand(standing: Standing, view: RunView | undefined): void {
    this.#chip.textContent = standing.word;
    this.#chip.dataset["tone"] = standing.tone;
    this.#notice.show(standing, view);
  }

  #ask(question: string, models: readonly string[]): void {
    if (!this.#wide.matches) this.#panel.open(false);
    this.#chat?.ask(question, models);
  }

  #escape(): void {
    // An open dialog takes Escape for itself.
    if (document.querySelector("dialog[open]") !== null) return;
    if (this.#chat?.busy === true) this.#chat.stop();
    else if (this.#panel.isOpen && !this.#wide.matches) this.#panel.open(false);
  }

  #drawHero(view: RunView, standing: Standing): void {
    const [own = view.experiment, base] = view.models;
    const drawn = `${own} ${base ?? ""} ${standing.ready}`;
    if (drawn === this.#heroOf) return;
    this.#heroOf = drawn;
    const suggestions = (["try.1", "try.2", "try.3"] as const).map((phrase) => {
      const button = make("button", { type: "button", disabled: !standing.ready }, say(phrase));
      button.addEventListener("click", () => this.#composer.suggest(say(phrase)));
      return button;
    });
    this.#hero.replaceChildren(
      make("h2", {}, say("hero", { model: own })),
      make("p", {}, say(base === undefined ? "hero.alone" : "hero.help")),
      make("div", { class: "suggestions" }, ...suggestions),
    );
  }
}

translatePage();
new App().start();
