#!/bin/bash
# Drains the nodes named in NODES all at once, then deletes them. A node that does not answer cannot be drained:
# its pods are lost already, and it is deleted all the same.
set -euo pipefail
export KUBECONFIG=/etc/kubernetes/admin.conf

remove() {
    local node=$1 output
    output=$(kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --force --timeout="${DRAIN_TIMEOUT}s" 2>&1) ||
        echo "$node could not be drained within $DRAIN_TIMEOUT s: $(tail -n 1 <<<"$output")"
    kubectl delete node "$node"
    echo "CHANGED: removed $node"
}

known=$(kubectl get nodes -o name)
jobs=()
for node in $NODES; do
    if grep -qx "node/$node" <<<"$known"; then
        remove "$node" &
        jobs+=($!)
    else
        echo "$node is not in the cluster"
    fi
done

failed=0
for job in "${jobs[@]}"; do
    wait "$job" || failed=1
done
exit "$failed"
