# Holds the namespaces of a cluster until standard input closes, then removes what is left of it, also where the test process was killed.
status=0
unshare --net --mount --uts --pid --fork --kill-child --propagation=private bash "$1" || status=$?
for controller in /sys/fs/cgroup /sys/fs/cgroup/*; do
  if [ -d "$controller/$GROUP" ]; then find "$controller/$GROUP" -depth -type d -exec rmdir {} +; fi
done
rm -rf --one-file-system "$WORK"
exit $status
