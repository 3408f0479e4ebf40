import { expect, it } from "vitest";
import { tlsOf } from "../../recipe/tls.ts";

const pair = { certificate: "/c.pem", key: "/k.pem" };

it.each([
  ["127.0.0.1", "auto", undefined],
  ["::1", "auto", undefined],
  ["0.0.0.0", "auto", "self-signed"],
  ["10.0.0.7", "auto", "self-signed"],
  ["127.0.0.1", "self-signed", "self-signed"],
  ["127.0.0.1", "off", undefined],
  ["127.0.0.1", undefined, undefined],
  ["10.0.0.7", pair, pair],
] as const)("%s with tls %j is served with %j", (host, tls, served) => {
  expect(tlsOf({ host, tls })).toEqual(served);
});
