import { type Answer, type Call, errorAnswer } from "./calls.ts";

/** Policies of buckets, kept here: the emulator heeds no condition of one, so that `not without TLS` would refuse everybody. */
export class BucketPolicies {
  readonly #kept = new Map<string, string>();

  /** The answer to a call about one; undefined for all else. */
  answer(call: Call): Answer | undefined {
    const [, method = "", bucket = ""] = /^(PUT|GET|DELETE) \/([^/?]+)\/?\?policy=?$/.exec(call.action) ?? [];
    if (call.service !== "s3" || bucket === "") return undefined;
    const kept = this.#kept.get(bucket);
    if (method === "PUT") this.#kept.set(bucket, call.body);
    if (method === "DELETE") this.#kept.delete(bucket);
    if (method !== "GET") return { status: 204, type: "application/xml", body: "" };
    if (kept === undefined) return errorAnswer(call, "NoSuchBucketPolicy", "There is none.", 404);
    return { status: 200, type: "application/json", body: kept };
  }
}
