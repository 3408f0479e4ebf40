/** A change of the experiment that would make it fit. */
export interface Proposal {
  /** As it is written in the stack file: `train.enable_liger_kernel: true`. */
  readonly changes: readonly string[];
  /** Memory of one card then. */
  readonly bytes: number;
}
