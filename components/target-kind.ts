import type { ComponentResource, Output, Resource } from "../provider/pulumi.ts";
import type { HostSpec } from "../recipe/host.ts";

/** Where an experiment runs: whatever it provisions, it yields a host. */
export interface Target extends ComponentResource {
  readonly host: Output<HostSpec>;
  /** Which machine is the host now, where it may become another: what runs there is started again on the next. */
  readonly machine?: Output<string>;
  /** Where runs are published where `tuneup:storage.artifacts` says nothing. Default: nowhere. */
  readonly artifacts?: string | undefined;
  /** What the gateway has to bind, where something before it reaches it there. Default: what `tuneup:serve` says. */
  readonly listens?: { readonly host: string; readonly port: number } | undefined;
  /** Base URL of what is before the gateway, for those outside. Default: nothing is. */
  readonly publicUrl?: Output<string> | undefined;
  /** Starts what trains a declared run, where the agent does not do it itself. */
  training?(workload: TrainingWorkload): Resource;
  /** Starts what serves a declared endpoint, where the agent does not do it itself. */
  endpoint?(workload: EndpointWorkload): Resource;
}

/** A declared run that waits for its machines. */
export interface TrainingWorkload {
  readonly run: Output<string>;
}

/** A declared endpoint that waits for its machines. */
export interface EndpointWorkload {
  /** Changes where what serves has to be started anew. */
  readonly revision: Output<string>;
  /** Key of the endpoint, a secret. */
  readonly apiKey: Output<string>;
  /** Does the gateway itself speak https? */
  readonly tls: boolean;
  /** What comes first. */
  readonly dependsOn: readonly Resource[];
}

/** Is the experiment's run complete and what it left safe on this machine? */
export type Finished = () => Promise<boolean>;
