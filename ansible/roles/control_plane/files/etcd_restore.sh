#!/bin/bash
# Puts a snapshot of etcd back. It is unpacked and checked while the cluster still runs; only then the control plane stops, gets
# the old data in place of the new, and starts again. What etcd held until then is kept beside it. Stopped anywhere, even
# killed, it is finished by the next run with the same snapshot.
set -euo pipefail
export KUBECONFIG=/etc/kubernetes/admin.conf
manifests=/etc/kubernetes/manifests
# Where the kubelet does not see them.
stopped=/etc/kubernetes/manifests-while-etcd-is-restored
# Beside the data, so that it is moved at one stroke.
unpacked=/var/lib/etcd/kubesmith-restore
replaced=/var/lib/etcd-replaced-$(date --utc +%Y%m%dT%H%M%SZ)

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

refuse() {
    echo "REFUSED: $*" >&2
    exit 1
}

# It was brought for this run alone.
trap 'rm -rf "${SNAPSHOT%/*}"' EXIT
exec 9>/run/kubesmith.lock
flock --timeout 600 9 || fail "an earlier run still works on this machine"
[ -e /etc/kubernetes/admin.conf ] || refuse "this machine is no control plane: /etc/kubernetes/admin.conf is missing"
case ${SNAPSHOT##*/} in
    "etcd-$CLUSTER_NAME-"*.db) ;;
    *) refuse "${SNAPSHOT##*/} is not a snapshot of $CLUSTER_NAME: its name must be etcd-$CLUSTER_NAME-TIME.db" ;;
esac

etcd=$manifests/etcd.yaml
[ -e "$etcd" ] || etcd=$stopped/etcd.yaml
[ -e "$etcd" ] || refuse "this machine runs no etcd: there is no $manifests/etcd.yaml"
flag() { sed -n "s/^ *- --$1=//p" "$etcd"; }
image=$(sed -n 's/^ *image: *//p' "$etcd")

# etcd's own tool, in a container of etcd's image, because etcd itself may not even start any more.
tool() {
    ctr --namespace k8s.io run --rm --mount "type=bind,src=/var/lib/etcd,dst=/var/lib/etcd,options=rbind:rw" \
        --mount "type=bind,src=${SNAPSHOT%/*},dst=/snapshot,options=rbind:ro" \
        "$image" "kubesmith-etcd-restore-$$-$RANDOM" "$@" 2>&1 9>&-
}
# Since 3.6 it is etcdutl that restores; before 3.5 there is only etcdctl.
program=etcdutl
tool etcdutl version >/dev/null || program=etcdctl
case $(tool "$program" snapshot restore --help) in
    *--bump-revision*) ;;
    *) refuse "the etcd of $image is too old: it cannot tell those who watch that the past is another one now" ;;
esac
# Who watches would wait in silence for a revision that it has seen already. So they go on beyond all that were ever given
# out, those after an earlier restore of the same snapshot too: by a thousand for each second since 1970.
bump=$(($(date +%s) * 1000))
rm -rf "$unpacked"
reason=$(tool "$program" snapshot restore "/snapshot/${SNAPSHOT##*/}" --data-dir "$unpacked" --name "$(flag name)" \
    --initial-cluster "$(flag initial-cluster)" --initial-advertise-peer-urls "$(flag initial-advertise-peer-urls)" \
    --bump-revision "$bump" --mark-compacted) || fail "nothing was changed, for etcd cannot read the snapshot: $reason"

install -d -m 0700 "$stopped"
find "$manifests" -maxdepth 1 -name '*.yaml' -exec mv -t "$stopped" {} +
deadline=$((SECONDS + READY_TIMEOUT))
while true; do
    pods=$(crictl pods --namespace kube-system --label tier=control-plane --state ready --quiet) ||
        fail "containerd does not say whether the control plane has stopped; run this again"
    [ -n "$pods" ] || break
    [ "$SECONDS" -lt "$deadline" ] || fail "the control plane did not stop within $READY_TIMEOUT s; run this again"
    sleep 1
done

if [ -e /var/lib/etcd/member ]; then
    install -d -m 0700 "$replaced"
    mv /var/lib/etcd/member "$replaced/"
fi
mv "$unpacked/member" /var/lib/etcd/member
rm -rf "$unpacked"
find "$stopped" -maxdepth 1 -name '*.yaml' -exec mv -t "$manifests" {} +
rmdir "$stopped"
systemctl restart kubelet

deadline=$((SECONDS + READY_TIMEOUT))
until kubectl --request-timeout=5s get --raw /readyz >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || fail "the API server does not answer with the restored data within $READY_TIMEOUT s"
    sleep 1
done
kubectl wait --for=condition=Ready nodes --all --timeout="$((deadline - SECONDS))s" >/dev/null ||
    fail "not all nodes are Ready again within $READY_TIMEOUT s"
echo "CHANGED: etcd holds what ${SNAPSHOT##*/} held; what it held before is in $replaced"
