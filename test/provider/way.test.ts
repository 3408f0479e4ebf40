import { expect, it } from "vitest";
import { rememberWay, wayTo } from "../../provider/way.ts";

const state = { kind: "ssh", address: "my-gpu", dataDirectory: "~/tuneup", identity: "/old/key" } as const;
const file = { ...state, identity: "/new/key" };

it("reaches a host of the state as the stack file says now, and only that host", () => {
  expect(wayTo(state, {})).toEqual(state);
  expect(wayTo(state, { TUNEUP_HOST: JSON.stringify(file) })).toEqual(file);
  expect(wayTo(state, { TUNEUP_HOST: JSON.stringify({ ...file, address: "another" }) })).toEqual(state);
  expect(wayTo(state, { TUNEUP_HOST: "no JSON" })).toEqual(state);
  const local = { kind: "local", dataDirectory: "/d" } as const;
  expect(wayTo(local, { TUNEUP_HOST: JSON.stringify(file) })).toEqual(local);
});

it("takes what the program said in this update before all", () => {
  const port = { ...state, address: "second", port: 2222 };
  rememberWay(port);
  rememberWay("unknown as yet");
  expect(wayTo({ ...state, address: "second" }, { TUNEUP_HOST: JSON.stringify(file) })).toEqual(port);
});
