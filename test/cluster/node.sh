# The first process of a cluster's own namespaces (net, mount, uts, pid): when it ends, the kernel ends all that run in them.
# It lives as long as its standard input: a pipe that the test process holds.
#   WORK: folder of the cluster; PACKAGES: root of the Debian packages; GROUP: name of its cgroups
set -eu

# As it is seen from outside: /proc is still the one of there.
read -r pid _ </proc/self/stat
mount -t proc proc /proc
hostname "$NODE"

# What the programs write at fixed places stays in the cluster's folder.
for place in /run /tmp /var/lib /var/log; do
  over=$WORK/over$place
  mkdir -p "$over/upper" "$over/work"
  mount -t overlay -o "lowerdir=$place,upperdir=$over/upper,workdir=$over/work" tuneup-cluster $place
done
for place in /var/lib/kubelet /tmp/hostpath_pv; do
  own=$WORK/$(basename $place)
  mkdir -p "$own" $place
  mount --bind "$own" $place
done
mkdir -p /var/lib/kubelet/device-plugins
mount --make-rshared /

# The kubelet would set these for the whole kernel. Shown the values that it wants, it sets nothing.
mkdir "$WORK/sysctl"
while read -r name value; do
  stand_in=$WORK/sysctl/${name//\//_}
  echo "$value" >"$stand_in"
  mount --bind "$stand_in" "/proc/sys/$name"
done <<'END'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END

# One group for all Pods: per controller with cgroup v1, one with v2.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir "/sys/fs/cgroup/$GROUP"
else
  for controller in cpu cpuacct cpuset memory devices freezer blkio pids systemd hugetlb; do
    [ -d /sys/fs/cgroup/$controller ] && mkdir "/sys/fs/cgroup/$controller/$GROUP"
  done
  for file in cpuset.cpus cpuset.mems; do
    cat /sys/fs/cgroup/cpuset/$file >"/sys/fs/cgroup/cpuset/$GROUP/$file"
  done
fi

# The node's address, on a bridge without ports. Nothing leads out of here, and who tries is told at once.
ip link set lo up
ip link add node0 type bridge
ip addr add 10.99.0.1/24 dev node0
ip link set node0 up
ip route add 10.96.0.0/16 dev node0
ip route add unreachable default
echo 1 >/proc/sys/net/ipv4/ip_forward

# The first packet of each connection from or to a Pod is judged by the NetworkPolicies. What the node sends is not: probes reach every Pod.
iptables() { "$PACKAGES/usr/sbin/xtables-nft-multi" iptables --wait -t mangle "$@" -m conntrack --ctstate NEW -j NFQUEUE --queue-num 100; }
iptables -A FORWARD
iptables -A INPUT -s 10.244.0.0/24

echo "ready $pid"
read -r _ || true
