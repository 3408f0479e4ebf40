/** An answer that is an error, in OpenAI's shape: `{"error": {message, type, param, code}}`. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    more: { readonly param?: string; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.name = "HttpError";
    this.status = status;
    this.code = code;
    this.param = more.param ?? null;
    this.headers = more.headers ?? {};
  }

  /** The body, also the last event of a stream that broke. */
  get body(): { error: { message: string; type: string; param: string | null; code: string } } {
    return { error: { message: this.message, type: typeOf(this.status), param: this.param, code: this.code } };
  }
}

function typeOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** 503: the model can't answer now; `retryAfter` in seconds. */
export function notReady(message: string, retryAfter: number): HttpError {
  return new HttpError(503, "model_not_ready", message, { headers: { "Retry-After": String(retryAfter) } });
}

/** 503: the engine ended or hung in the middle of this request. */
export function engineLost(detail: string): HttpError {
  return new HttpError(503, "engine_lost", `The engine ${detail} while it answered; it is started again. Ask again.`, {
    headers: { "Retry-After": "5" },
  });
}

/** Any thrown value as an answer; what we don't know stays inside. */
export function asHttpError(thrown: unknown): HttpError {
  return thrown instanceof HttpError
    ? thrown
    : new HttpError(500, "internal_error", "The gateway failed; its log has the place.");
}
