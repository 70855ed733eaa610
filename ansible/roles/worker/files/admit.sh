#!/bin/bash
# Runs on the control plane. Of WORKERS, JOINED are those whose machine has a kubelet.conf. Prints one line of JSON:
# who has to join, with a token if anyone has to, whether all are Ready, or an error. Standard output is a secret.
set -euo pipefail
export KUBECONFIG=/etc/kubernetes/admin.conf

answer() { # error, join, ready, token, hash of the CA's public key
    local list=
    [ -z "$2" ] || list="\"${2// /\", \"}\""
    printf '{"error": %s, "join": [%s], "ready": %s, "token": "%s", "ca_hash": "%s"}\n' "$1" "$list" "$3" "$4" "$5"
    exit 0
}

fail() {
    answer "$(python3 -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$*")" "" false "" ""
}

contains() { # list, word
    [[ " $1 " == *" $2 "* ]]
}

nodes=$(kubectl get nodes 2>&1) || fail "the API on $(hostname) does not answer: $nodes"
known=$(awk 'NR > 1 { print $1 }' <<<"$nodes" | tr '\n' ' ')
are_ready=$(awk 'NR > 1 && $2 ~ /^Ready/ { print $1 }' <<<"$nodes" | tr '\n' ' ')

join=() ready=true
for worker in $WORKERS; do
    contains "$are_ready" "$worker" || ready=false
    contains "$JOINED" "$worker" && contains "$known" "$worker" && continue
    join+=("$worker")
    if contains "$known" "$worker"; then
        # The machine behind this node was replaced by one that never joined: the old node would be in its way.
        output=$(kubectl delete node "$worker" 2>&1) || fail "the old node $worker could not be deleted: $output"
    fi
done
[ "${#join[@]}" -gt 0 ] || answer '""' "" "$ready" "" ""

hash=$(openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der | sha256sum | cut -d' ' -f1) ||
    fail "the hash of the cluster's CA could not be computed from /etc/kubernetes/pki/ca.crt"
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
token=$(kubeadm token create --ttl 15m --description "kubesmith: ${join[*]}" 2>"$errors") ||
    fail "no token could be made: $(tail -n 3 "$errors")"
answer '""' "${join[*]}" false "$token" "sha256:$hash"
