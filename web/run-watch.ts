import type { RunView } from "../recipe/protocol.ts";
import { type Endpoint, EndpointError } from "./endpoint.ts";

/** Looks at the run every 2 s until its model is ready, then every 10 s; not while the page is hidden. */
export class RunWatch {
  readonly #endpoint: Endpoint;
  readonly #onView: (view: RunView) => boolean;
  readonly #onError: (error: EndpointError) => void;
  readonly #abort = new AbortController();
  #timer = 0;
  #waitMs = 2000;

  /** `onView` returns whether the model is ready. */
  constructor(endpoint: Endpoint, onView: (view: RunView) => boolean, onError: (error: EndpointError) => void) {
    this.#endpoint = endpoint;
    this.#onView = onView;
    this.#onError = onError;
    const { signal } = this.#abort;
    document.addEventListener("visibilitychange", () => this.#look(), { signal });
    this.#look();
  }

  stop(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  /** Looks now. */
  #look(): void {
    clearTimeout(this.#timer);
    if (document.hidden || this.#abort.signal.aborted) return;
    void this.#once().finally(() => {
      clearTimeout(this.#timer);
      if (!this.#abort.signal.aborted) this.#timer = setTimeout(() => this.#look(), this.#waitMs);
    });
  }

  async #once(): Promise<void> {
    try {
      const view = await this.#endpoint.run(this.#abort.signal);
      this.#waitMs = this.#onView(view) ? 10_000 : 2000;
    } catch (thrown) {
      if (this.#abort.signal.aborted) return;
      this.#waitMs = 2000;
      this.#onError(thrown instanceof EndpointError ? thrown : new EndpointError(0, ""));
    }
  }
}
