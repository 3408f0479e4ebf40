import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Groups by how long their files take: with two workers the longest have to begin first, or one core waits at the end. */
const order = ["e2e", "faults", "engine", "browser", "unit", "cluster", "cloud"];

/** The order in which files are begun. */
export default class LongestFirst extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ project }: TestSpecification): number => order.indexOf(project.name);
    return Promise.resolve([...files].sort((a, b) => place(a) - place(b) || a.moduleId.localeCompare(b.moduleId)));
  }
}
