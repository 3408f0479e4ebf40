import type { Toleration } from "../host.ts";
import { volumeLabel } from "./labels.ts";

/** Where the volume is mounted, and where what only this Pod knows is kept. */
export const dataMount = "/data";
export const recordsMount = "/run/tuneup";

/** Port of the gateway in its Pod. */
export const gatewayPort = 8400;

/** User and group of every process of ours, who own what is on the volume. */
const owner = 1000;

/** What a Pod is made of. */
export interface PodParts {
  readonly image: string;
  readonly claim: string;
  /** See `agentCommand`. */
  readonly command: readonly string[];
  readonly cpu: string;
  /** CPUs that a node must have free for it. Default: `cpu`. */
  readonly cpuRequest?: string | undefined;
  readonly memory: string;
  /** Memory that a node must have free for it. Default: `memory`. */
  readonly memoryRequest?: string | undefined;
  /** Devices by the device plugin's name. Default: none. */
  readonly devices?: Readonly<Record<string, number>>;
  /** Size of /dev/shm. Default: the container runtime's 64 MB. */
  readonly sharedMemory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly imagePullSecrets?: readonly string[] | undefined;
  readonly nodeSelector?: Readonly<Record<string, string>> | undefined;
  readonly tolerations?: readonly Toleration[] | undefined;
  readonly priorityClassName?: string | undefined;
  readonly runtimeClassName?: string | undefined;
  /** Put it beside the other Pods of its volume: ReadWriteOnce allows one node. */
  readonly shareNode: boolean;
  readonly graceSeconds: number;
  readonly restartPolicy: "Always" | "Never";
  /** Default: the namespace's own; a token is never mounted. */
  readonly serviceAccountName?: string;
  /** Further fields of its container: ports, probes, lifecycle. */
  readonly container?: ContainerParts;
}

/** Probes and ports of a container. */
export interface ContainerParts {
  readonly ports?: { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string; readonly scheme?: "HTTP" | "HTTPS" };
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

/** Name of the one container of a Pod. */
export const containerName = "tuneup";

/**
 * A Pod that the Restricted Pod Security Standard lets in: no root, no privilege, nothing written but the volume and folders in
 * memory or of its own (design, table of security rules: CKV_K8S_8, 9, 14, 16, 20, 22, 31, 37, 38, 43).
 */
export function podSpec(parts: PodParts) {
  const { image, claim, command, shareNode, graceSeconds, restartPolicy, container = {} } = parts;
  return {
    ...scheduling(parts),
    ...(shareNode ? { affinity: besideVolume(claim) } : {}),
    automountServiceAccountToken: false,
    ...(parts.serviceAccountName === undefined ? {} : { serviceAccountName: parts.serviceAccountName }),
    enableServiceLinks: false,
    restartPolicy,
    terminationGracePeriodSeconds: graceSeconds,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: owner,
      runAsGroup: owner,
      fsGroup: owner,
      // A volume of 100,000 files is not walked through at each start.
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name: containerName,
        image,
        imagePullPolicy: "IfNotPresent",
        command: [...command],
        env: environmentOf(parts.environment),
        resources: resources(parts),
        securityContext: {
          allowPrivilegeEscalation: false,
          privileged: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: mounts(parts),
        ...container,
      },
    ],
    volumes: volumes(parts),
  };
}

function scheduling(parts: PodParts) {
  const { imagePullSecrets = [], nodeSelector = {}, tolerations = [], priorityClassName, runtimeClassName } = parts;
  return {
    ...(imagePullSecrets.length === 0 ? {} : { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) }),
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector: { ...nodeSelector } }),
    ...(tolerations.length === 0 ? {} : { tolerations: tolerations.map((one) => ({ ...one })) }),
    ...(priorityClassName === undefined ? {} : { priorityClassName }),
    ...(runtimeClassName === undefined ? {} : { runtimeClassName }),
  };
}

/** On the node where the volume is in use. The first Pod is let through, since it matches itself. */
function besideVolume(claim: string) {
  const term = { labelSelector: { matchLabels: { [volumeLabel]: claim } }, topologyKey: "kubernetes.io/hostname" };
  return { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };
}

function environmentOf(environment: Readonly<Record<string, string>> = {}) {
  // Programs keep their own small files there, and ask for a name: home and name of uid 1000 may not exist in the image.
  return Object.entries({ HOME: "/tmp", USER: "tuneup", ...environment }).map(([name, value]) => ({ name, value }));
}

function resources({ cpu, cpuRequest = cpu, memory, memoryRequest = memory, devices = {} }: PodParts) {
  const given = Object.fromEntries(Object.entries(devices).map(([name, count]) => [name, String(count)]));
  return { requests: { cpu: cpuRequest, memory: memoryRequest, ...given }, limits: { cpu, memory, ...given } };
}

function mounts({ sharedMemory }: PodParts) {
  return [
    { name: "data", mountPath: dataMount },
    { name: "tmp", mountPath: "/tmp" },
    { name: "records", mountPath: recordsMount },
    ...(sharedMemory === undefined ? [] : [{ name: "shm", mountPath: "/dev/shm" }]),
  ];
}

function volumes({ claim, sharedMemory }: PodParts) {
  return [
    { name: "data", persistentVolumeClaim: { claimName: claim } },
    { name: "tmp", emptyDir: {} },
    { name: "records", emptyDir: {} },
    ...(sharedMemory === undefined ? [] : [{ name: "shm", emptyDir: { medium: "Memory", sizeLimit: sharedMemory } }]),
  ];
}

/** The shell takes the Node that was brought to the volume, else the image's own. */
const startNode =
  'node=/data/tools/node-24/bin/node; if [ ! -x "$node" ]; then node=node; fi; umask 077; exec "$node" "$@"';

/** Words that start the agent at `path` on the volume. */
export function agentCommand(path: string, words: readonly string[]): string[] {
  return ["bash", "-c", startNode, "tuneup", path, ...words];
}
