import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";

/** A request to AWS, as its service understands it. */
export interface Call {
  /** `ec2`, `iam`, `ssm`, `scheduler` ... */
  readonly service: string;
  /** `RunInstances`; of a service with paths: `POST /schedules/name`; of S3 with its query too: `PUT /bucket?policy`. */
  readonly action: string;
  /** As it was sent. */
  readonly body: string;
  /** One parameter by its name: `UserData`, `InstanceId.1`; of JSON the value as text. Empty where there is none. */
  parameter(name: string): string;
  /** All whose names begin so. */
  parameters(prefix: string): string[];
}

/** An answer of ours. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
  /** Others than its type. */
  readonly headers?: OutgoingHttpHeaders;
}

const json = "application/x-amz-json-1.1";

/** Reads a request. `path`: with its query. */
export function readCall(method: string, path: string, headers: IncomingHttpHeaders, body: string): Call {
  const service = /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(headers.authorization ?? "")?.[1] ?? "";
  const target = headers["x-amz-target"];
  if (typeof target === "string") return ofJson(service, target.split(".")[1] ?? "", body);
  if (headers["content-type"]?.includes("x-www-form-urlencoded") !== true)
    return ofJson(service, `${method} ${service === "s3" ? path : (path.split("?")[0] ?? "")}`, body);
  const form = new URLSearchParams(body);
  return {
    service,
    action: form.get("Action") ?? "",
    body,
    parameter: (name) => form.get(name) ?? "",
    parameters: (prefix) => [...form].flatMap(([name, value]) => (name.startsWith(prefix) ? [value] : [])),
  };
}

function ofJson(service: string, action: string, body: string): Call {
  // What lies in a bucket may begin so too, and has no parameters.
  const read = (body.startsWith("{") && service !== "s3" ? JSON.parse(body) : {}) as Record<string, unknown>;
  const parameter = (name: string): string => {
    const value = read[name];
    return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
  };
  return { service, action, body, parameter, parameters: (name) => [parameter(name)].filter((value) => value !== "") };
}

/** An answer in JSON. */
export function jsonAnswer(value: object): Answer {
  return { status: 200, type: json, body: JSON.stringify(value) };
}

/** An error as the call's service writes it. */
export function errorAnswer({ service, action }: Call, code: string, message: string, status = 400): Answer {
  const detail = `<Code>${code}</Code><Message>${message}</Message>`;
  if (service === "ec2") {
    const body = `<Response><Errors><Error>${detail}</Error></Errors><RequestID>injected</RequestID></Response>`;
    return { status, type: "text/xml", body };
  }
  if (["iam", "sts", "autoscaling"].includes(service)) {
    const body = `<ErrorResponse><Error><Type>Sender</Type>${detail}</Error><RequestId>injected</RequestId></ErrorResponse>`;
    return { status, type: "text/xml", body };
  }
  if (service === "s3") {
    return { status, type: "application/xml", body: `<?xml version="1.0" encoding="UTF-8"?><Error>${detail}</Error>` };
  }
  // Services with paths have the code in a header too; both read this one.
  const type = action.includes(" ") ? "application/json" : json;
  return { status, type, body: JSON.stringify({ __type: code, message }) };
}
