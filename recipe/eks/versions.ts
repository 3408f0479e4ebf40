/** A minor version of Kubernetes that EKS has in standard support. */
export interface ClusterVersion {
  /** Such as `1.35`. */
  readonly name: string;
  /** Last day of its standard support; from then on its control plane costs six times as much. */
  readonly until: string;
}

/** When the table was read, and where: it goes stale. */
export const versionSource = { date: "2026-04-24", source: "AWS's sample-apex-skills, cluster-lifecycle" } as const;

/** Versions in standard support when the table was read and at this release, the oldest first. */
export const clusterVersions: readonly ClusterVersion[] = [
  { name: "1.34", until: "2026-12-02" },
  { name: "1.35", until: "2027-03-27" },
];

/** What a new cluster gets where the file names none. */
export const usualVersion = "1.35";

/** Is a version in the table, or newer than all of it? What is newer was not there when the table was read. */
export function isSupported(version: string): boolean {
  const minor = minorOf(version);
  const oldest = minorOf(clusterVersions[0]?.name ?? "");
  return minor !== undefined && oldest !== undefined && minor >= oldest;
}

/**
 * The version to declare: the file's, or that of the cluster where it is newer. AWS moves a cluster on at the end of its version's standard support, and
 * no cluster goes back.
 */
export function versionToDeclare(wanted: string, there: string | undefined): string {
  return (minorOf(there ?? "") ?? 0) > (minorOf(wanted) ?? 0) ? (there ?? wanted) : wanted;
}

function minorOf(version: string): number | undefined {
  const [, minor] = /^1\.(\d{1,3})$/.exec(version) ?? [];
  return minor === undefined ? undefined : Number(minor);
}
