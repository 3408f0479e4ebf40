/** Does a target train in one process, on one card? Those do whose machine is taken as it is. */
export function trainsOnOneCard(target: "local" | "ssh" | "aws" | "kubernetes"): boolean {
  return target === "local" || target === "ssh";
}
