import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Credentials } from "./certificates.ts";
import type { Namespace } from "./namespace.ts";
import type { Programs } from "./programs.ts";

/** Addresses inside of every cluster: each has a network of its own. */
export const network = {
  node: "10.99.0.1",
  pods: "10.244.0.0/24",
  services: "10.96.0.0/16",
  dns: "10.96.0.10",
  /** Where the API server listens, as its parts reach it. */
  api: "https://127.0.0.1:6443",
} as const;

/** Name of the one node. */
export const nodeName = "node";

/** The netfilter queue of node.sh. */
export const policyQueue = 100;

/** Names of the programs of a cluster. */
export type PartName =
  | "containerd"
  | "etcd"
  | "apiserver"
  | "controllers"
  | "scheduler"
  | "kubelet"
  | "proxy"
  | "policies"
  | "gpus"
  | "volumes";

/** The command line of each program. Writes what they read first. */
export async function partsOf(
  namespace: Namespace,
  programs: Programs,
  credentials: Credentials,
  gpus: number,
): Promise<Readonly<Record<PartName, readonly string[]>>> {
  const { folder } = namespace;
  const { one } = programs;
  const account = {
    admin: await credentials.writeKubeconfig("admin", network.api),
    controllers: await credentials.writeKubeconfig("controllers", network.api),
    scheduler: await credentials.writeKubeconfig("scheduler", network.api),
    node: await credentials.writeKubeconfig("node", network.api),
  };
  await writeConfigurations(namespace, programs, credentials);
  // The API is asked for everything at once while a cluster comes up.
  const eager = ["--kube-api-qps=1000", "--kube-api-burst=2000"];
  const alone = ["--leader-elect=false", "--bind-address=127.0.0.1", "--authentication-skip-lookup=true"];
  return {
    containerd: [join(programs.packages, "usr/bin/containerd"), "--config", join(folder, "containerd.toml")],
    etcd: [one, "etcd", ...etcdFlags(folder)],
    apiserver: [one, "kube-apiserver", ...apiserverFlags(credentials)],
    controllers: [
      ...[one, "kube-controller-manager", ...eager, ...alone, `--kubeconfig=${account.controllers}`],
      ...["--use-service-account-credentials=true", `--root-ca-file=${credentials.file("authority.crt")}`],
      `--service-account-private-key-file=${credentials.file("service-accounts.key")}`,
      // Claims get folders of the node.
      ...["--enable-hostpath-provisioner=true", `--cert-dir=${folder}/controllers`],
      // A node that is gone is seen after 20 s, not 50.
      "--node-monitor-grace-period=20s",
    ],
    scheduler: [
      ...[one, "kube-scheduler", ...eager, ...alone],
      ...[`--kubeconfig=${account.scheduler}`, `--cert-dir=${folder}/scheduler`],
    ],
    kubelet: [
      ...[one, "kubelet", `--config=${folder}/kubelet.yaml`, `--kubeconfig=${account.node}`],
      ...[`--hostname-override=${nodeName}`, `--node-ip=${network.node}`],
    ],
    proxy: [
      ...[one, "kube-proxy", `--kubeconfig=${account.admin}`, `--hostname-override=${nodeName}`],
      ...["--proxy-mode=nftables", `--cluster-cidr=${network.pods}`, "--bind-address=127.0.0.1"],
      // These would be set for the whole kernel.
      ...[
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
      ],
    ],
    policies: [
      ...["env", `KUBECONFIG=${account.admin}`],
      ...[programs.controllers, "network-policies", nodeName, String(policyQueue)],
    ],
    gpus: [one, "gpus", String(gpus)],
    volumes: [one, "volumes", "/tmp/hostpath_pv"],
  };
}

function etcdFlags(folder: string): string[] {
  return [
    ...["--unsafe-no-fsync", `--data-dir=${folder}/etcd`, "--log-level=warn"],
    ...["--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379"],
    "--listen-peer-urls=http://127.0.0.1:2380",
  ];
}

function apiserverFlags({ file }: Credentials): string[] {
  return [
    ...["--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443", `--advertise-address=${network.node}`],
    ...[`--tls-cert-file=${file("apiserver.crt")}`, `--tls-private-key-file=${file("apiserver.key")}`],
    ...[`--client-ca-file=${file("authority.crt")}`, `--token-auth-file=${file("accounts.csv")}`],
    ...["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"],
    ...[`--service-cluster-ip-range=${network.services}`, "--allow-privileged=true", "--profiling=false"],
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${file("service-accounts.pub")}`,
    `--service-account-signing-key-file=${file("service-accounts.key")}`,
    `--kubelet-client-certificate=${file("kubelet-client.crt")}`,
    ...[`--kubelet-client-key=${file("kubelet-client.key")}`, "--kubelet-preferred-address-types=InternalIP"],
  ];
}

/** Path of containerd's socket, for `ctr` and the kubelet. */
export const containerdSocket = (folder: string): string => join(folder, "containerd", "containerd.sock");

async function writeConfigurations(namespace: Namespace, programs: Programs, credentials: Credentials): Promise<void> {
  const { folder } = namespace;
  await mkdir(join(folder, "cni"));
  await writeFile(join(folder, "cni", "10.conflist"), JSON.stringify(podNetwork(folder)));
  await writeFile(join(folder, "containerd.toml"), containerdConfiguration(folder, programs.packages));
  await writeFile(join(folder, "kubelet.yaml"), stringify(kubeletConfiguration(namespace, credentials)));
}

/** A wire of its own for each Pod: what one sends to another passes the node, where policies are enforced. */
function podNetwork(folder: string): object {
  const ipam = {
    ...{ type: "host-local", dataDir: join(folder, "addresses"), routes: [{ dst: "0.0.0.0/0" }] },
    ranges: [[{ subnet: network.pods }]],
  };
  return { cniVersion: "0.4.0", name: "pods", plugins: [{ type: "ptp", ipMasq: false, ipam }, { type: "loopback" }] };
}

function containerdConfiguration(folder: string, packages: string): string {
  const own = join(folder, "containerd");
  return `version = 2
root = "${own}/root"
state = "${own}/state"
oom_score = 0
imports = []
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "${containerdSocket(folder)}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${own}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "tuneup-test/busybox:1"
  stream_server_address = "127.0.0.1"
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "${packages}/usr/lib/cni"
  conf_dir = "${folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "${packages}/usr/sbin/runc"
  SystemdCgroup = false
`;
}

function kubeletConfiguration({ folder, group, logs }: Namespace, { file }: Credentials): object {
  return {
    ...{ apiVersion: "kubelet.config.k8s.io/v1beta1", kind: "KubeletConfiguration" },
    ...{ address: "0.0.0.0", healthzBindAddress: "127.0.0.1" },
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: file("authority.crt") },
    },
    authorization: { mode: "Webhook" },
    ...{ cgroupDriver: "cgroupfs", cgroupRoot: `/${group}`, failCgroupV1: false, enforceNodeAllocatable: ["pods"] },
    containerRuntimeEndpoint: `unix://${containerdSocket(folder)}`,
    ...{ failSwapOn: false, makeIPTablesUtilChains: false, oomScoreAdj: 0, maxPods: 50 },
    ...{ kubeAPIQPS: 1000, kubeAPIBurst: 2000 },
    // The machine's disk is not the cluster's.
    evictionHard: { "imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%" },
    ...{ imageGCHighThresholdPercent: 100, imageGCLowThresholdPercent: 99 },
    ...{ podLogsDir: join(logs, "pods"), volumePluginDir: join(folder, "volume-plugins") },
    ...{ clusterDNS: [network.dns], clusterDomain: "cluster.local" },
    ...{ nodeStatusUpdateFrequency: "5s", nodeLeaseDurationSeconds: 10, syncFrequency: "10s" },
  };
}
