#!/bin/bash
# A snapshot of etcd, taken by etcd's own tool in its pod, so that it is consistent whatever is being written meanwhile. Where
# it lies is the last line of standard output.
set -euo pipefail
export KUBECONFIG=/etc/kubernetes/admin.conf
backups=/var/backups/kubesmith
# The one folder that the pod and the machine share.
shared=/var/lib/etcd/kubesmith-snapshot.db

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

exec 9>/run/kubesmith.lock
flock --timeout 600 9 || fail "an earlier run still works on this machine"

etcdctl() {
    local pki=/etc/kubernetes/pki/etcd
    kubectl --namespace kube-system exec "etcd-$NODE_NAME" -- etcdctl --endpoints=https://127.0.0.1:2379 \
        --cacert=$pki/ca.crt --cert=$pki/healthcheck-client.crt --key=$pki/healthcheck-client.key "$@"
}

rm -f "$shared" "$shared.part"
trap 'rm -f "$shared" "$shared.part"' EXIT
reason=$(etcdctl snapshot save "$shared" 2>&1) || fail "etcd gave no snapshot: $reason"
[ -s "$shared" ] || fail "etcd's snapshot is empty"

install -d -m 0700 "$backups"
kept=$backups/etcd-$CLUSTER_NAME-$(date --utc +%Y%m%dT%H%M%SZ).db
install -m 0600 "$shared" "$kept.new"
mv "$kept.new" "$kept"
# shellcheck disable=SC2012 # names of our own making
ls -1t "$backups"/etcd-*.db | tail -n "+$((KEEP + 1))" | xargs --no-run-if-empty rm -f
echo "CHANGED: took a snapshot of $(stat --format=%s "$kept") bytes"
echo "$kept"
