import { BlockList } from "node:net";
import fc from "fast-check";
import { expect, it } from "vitest";
import { balancerName } from "../../../recipe/aws/names.ts";
import { behindBalancer, networkBlocks } from "../../../recipe/aws/public-chat.ts";
import { keptConnectionMs, proxyIdleSeconds } from "../../../recipe/proxy.ts";

it("blocks are written as AWS takes them, each once, in their order", () => {
  expect(networkBlocks(["203.0.113.5/24", "10.255.255.255/9", "203.0.113.200/24", "198.51.100.7/032"])).toEqual([
    "203.0.113.0/24",
    "10.128.0.0/9",
    "198.51.100.7/32",
  ]);
  expect(networkBlocks(["255.255.255.255/0", "255.255.255.255/31"])).toEqual(["0.0.0.0/0", "255.255.255.254/31"]);
});

it("a block as it is written holds the same addresses", () => {
  const byte = fc.integer({ min: 0, max: 255 });
  const address = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join("."));
  fc.assert(
    fc.property(address, fc.integer({ min: 0, max: 32 }), address, (base, length, other) => {
      const [block = ""] = networkBlocks([`${base}/${length}`]);
      const given = new BlockList();
      given.addSubnet(base, length, "ipv4");
      const written = new BlockList();
      written.addSubnet(block.split("/")[0] ?? "", length, "ipv4");
      expect(written.check(base)).toBe(true);
      expect(written.check(other)).toBe(given.check(other));
      expect(networkBlocks([block])).toEqual([block]);
    }),
  );
});

it("the gateway listens where the load balancer reaches it, at a port that is known before", () => {
  expect(behindBalancer(0)).toEqual({ host: "0.0.0.0", port: 8400 });
  expect(behindBalancer(9000)).toEqual({ host: "0.0.0.0", port: 9000 });
});

it("a gateway keeps a connection longer than a load balancer does, which takes 4000 seconds at most", () => {
  expect(keptConnectionMs / 1000).toBeGreaterThan(proxyIdleSeconds);
  expect(proxyIdleSeconds).toBeLessThanOrEqual(4000);
});

it("a load balancer's name has at most 24 characters, before the 8 that Pulumi adds, and none is another's", () => {
  const names = ["a", "a".repeat(17), "a".repeat(18), "a".repeat(19), "a.b", "a-b"].map(balancerName);
  expect(names[1]).toBe(`tuneup-${"a".repeat(17)}`);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^tuneup-[A-Za-z0-9-]{1,17}$/);
});
