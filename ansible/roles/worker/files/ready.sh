#!/bin/bash
# Runs on the control plane. Waits until all WORKERS are Ready, and says what was last seen if they are not in time.
set -euo pipefail
export KUBECONFIG=/etc/kubernetes/admin.conf
deadline=$((SECONDS + READY_TIMEOUT))

# A node that has not registered yet makes `kubectl wait` end at once: ask again until the deadline.
for worker in $WORKERS; do
    until output=$(kubectl wait --for=condition=Ready "node/$worker" --timeout="$((deadline > SECONDS ? deadline - SECONDS : 1))s" 2>&1); do
        if [ "$SECONDS" -ge "$deadline" ]; then
            echo "FAILED: the node $worker is not Ready after $READY_TIMEOUT s: $output; last seen: $(kubectl get nodes -o wide 2>&1)" >&2
            exit 1
        fi
        sleep 1
    done
done
