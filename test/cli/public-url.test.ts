import { expect, it } from "vitest";
import { endpointText } from "../../cli/commands/endpoint.ts";
import { asksForPublicChat, publicUrlIn } from "../../cli/public-url.ts";
import type { EndpointFacts } from "../../recipe/protocol.ts";

const facts = {
  ...{ url: "https://127.0.0.1:8400", apiKey: "canary-key", models: ["exp"] },
  publicUrl: "https://tuneup-exp-1.us-east-1.elb.amazonaws.com",
} as unknown as EndpointFacts & { publicUrl: string };

it("`endpoint` says the load balancer's address, and that the certificate's name has to lead there", () => {
  const text = endpointText("exp", facts, {});
  expect(text).toContain(`${facts.publicUrl}/v1`);
  expect(text).toContain("CNAME");
  expect(text).not.toContain("canary-key");
  expect(JSON.parse(endpointText("exp", facts, { json: true }))).toEqual({ ...facts });
});

it("without a load balancer it says what it always did", () => {
  const { publicUrl, ...plain } = facts;
  expect(endpointText("exp", plain, {})).not.toContain("CNAME");
  expect(JSON.parse(endpointText("exp", plain, { json: true }))).not.toHaveProperty("publicUrl");
  expect(endpointText("exp", facts, { shell: true })).not.toContain(publicUrl);
});

it("only an experiment whose file asks for one has its stack asked", () => {
  const publicChat = { certificate: "arn:...", allowedCidrs: [] };
  expect(asksForPublicChat({ target: "aws", aws: { publicChat } })).toBe(true);
  for (const stated of [{}, { target: "aws" }, { target: "aws", aws: null }, { target: "aws", aws: { zone: "a" } }]) {
    expect(asksForPublicChat(stated)).toBe(false);
  }
  expect(asksForPublicChat({ target: "local", aws: { publicChat } })).toBe(false);
});

it("outputs without one have none", () => {
  expect(publicUrlIn({ publicUrl: facts.publicUrl })).toBe(facts.publicUrl);
  expect(publicUrlIn({ url: facts.url })).toBeUndefined();
  expect(publicUrlIn({ publicUrl: undefined })).toBeUndefined();
});
