import { HttpError } from "./openai-error.ts";

/** Requests per minute as a token bucket: a minute's worth may come at once, then one each 60/n seconds. */
export class Rate {
  #perMinute: number;
  #tokens: number;
  #at: number;
  readonly #now: () => number;

  constructor(perMinute: number, now: () => number = () => performance.now()) {
    this.#perMinute = perMinute;
    this.#tokens = perMinute;
    this.#now = now;
    this.#at = now();
  }

  /** A changed limit holds from now on. */
  set perMinute(perMinute: number) {
    this.#perMinute = perMinute;
    this.#tokens = Math.min(this.#tokens, perMinute);
  }

  /** Takes one request, or throws the 429 that says when to come again. */
  take(): void {
    const now = this.#now();
    this.#tokens = Math.min(this.#perMinute, this.#tokens + ((now - this.#at) * this.#perMinute) / 60_000);
    this.#at = now;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return;
    }
    // A billionth less, for what adding fractions leaves over.
    const seconds = Math.max(1, Math.ceil(((1 - this.#tokens) * 60) / this.#perMinute - 1e-9));
    throw new HttpError(
      429,
      "rate_limit_exceeded",
      `More than ${this.#perMinute} requests a minute (serve.requestsPerMinute). Try again in ${seconds} s.`,
      { headers: { "Retry-After": String(seconds) } },
    );
  }
}

/** Requests that wait for an engine, over all engines of the endpoint. */
export class WaitingRoom {
  seats: number;
  #taken = 0;

  constructor(seats: number) {
    this.seats = seats;
  }

  get length(): number {
    return this.#taken;
  }

  enter(): void {
    if (this.#taken >= this.seats) {
      throw new HttpError(
        429,
        "queue_full",
        `${this.#taken} requests wait already and no more may (serve.queue is ${this.seats}). Try again soon.`,
        { headers: { "Retry-After": "5" } },
      );
    }
    this.#taken += 1;
  }

  leave(): void {
    this.#taken -= 1;
  }
}

/** The places of one engine: as many requests at once as it can take, the others wait in order of arrival. */
export class Places {
  readonly #room: WaitingRoom;
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number, room: WaitingRoom) {
    this.#free = places;
    this.#room = room;
  }

  /** Waits for a place; returns what gives it back. Throws 429 if the room is full, and when `signal` aborts. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return this.#leaver();
    }
    this.#room.enter();
    try {
      await new Promise<void>((resolve, reject) => {
        const go = (): void => {
          signal.removeEventListener("abort", give);
          resolve();
        };
        const give = (): void => {
          this.#waiting.splice(this.#waiting.indexOf(go), 1);
          reject(signal.reason as Error);
        };
        this.#waiting.push(go);
        signal.addEventListener("abort", give, { once: true });
      });
    } finally {
      this.#room.leave();
    }
    return this.#leaver();
  }

  #leaver(): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    };
  }
}
