# Puts this process into the guest's cgroups, then becomes the program given as arguments.
# It runs on the host, before the namespaces: a cgroup namespace shows as its root what its
# first process was in, and a guest that starts elsewhere would manage the host's cgroups.
set -eu
for cgroup in $KUBESMITH_CGROUPS; do
    echo $$ > "$cgroup/cgroup.procs"
done
exec "$@"
