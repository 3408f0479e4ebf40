import { describe, expect, it } from "vitest";
import { type Declared, ofAws } from "./aws-cloud.ts";
import { declareEks, deletedWith, emptyAccount } from "./eks-cloud.ts";
import { eksExperiment, givenCluster } from "./eks-shipped.ts";

describe("what is on a cluster of the stack's own", () => {
  it("goes with it: `down` deletes none of it first, which would need a way to the API", async () => {
    const all = await declareEks(eksExperiment());
    const withOf = ({ type, name }: Declared) => deletedWith.get(`${type} ${name}`);
    const onCluster = all.filter(({ type }) => type.startsWith("kubernetes:"));
    expect(onCluster.length).toBeGreaterThan(8);
    for (const one of onCluster) expect(withOf(one), one.name).toMatch(/[:$]aws:eks\/cluster:Cluster::exp$/);
    expect(
      ofAws(all)
        .map(withOf)
        .filter((urn) => urn !== ""),
    ).toEqual([]);
  });

  it("is deleted by itself where the cluster is another's", async () => {
    const there = { ...emptyAccount, clusters: ["team"] };
    await declareEks(givenCluster({ name: "team" }), { there, last: ["Deployment"] });
    expect([...deletedWith.values()].filter((urn) => urn !== "")).toEqual([]);
  });
});
