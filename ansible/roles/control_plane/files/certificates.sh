#!/bin/bash
# Renews all certificates that kubeadm made, if one of them ends soon, and lets the control plane take them up. Authorities
# stay: they last ten years, and to change them is another undertaking. kubelets renew their own.
set -euo pipefail
export KUBECONFIG=/etc/kubernetes/admin.conf
# Until the control plane runs with the new ones: a run that was stopped in between is finished by the next.
pending=/etc/kubesmith/certificates-pending

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

exec 9>/run/kubesmith.lock
flock --timeout 600 9 || fail "an earlier run still works on this machine"
[ -e /etc/kubernetes/admin.conf ] || fail "this machine is no control plane: /etc/kubernetes/admin.conf is missing"

ends_soon() { # a certificate on standard input
    ! openssl x509 -noout -checkend $((RENEW_WITHIN_DAYS * 86400)) >/dev/null
}

soon=()
for file in /etc/kubernetes/pki/*.crt /etc/kubernetes/pki/etcd/*.crt; do
    case $file in */ca.crt | */front-proxy-ca.crt) continue ;; esac
    if ends_soon <"$file"; then soon+=("$file"); fi
done
for file in /etc/kubernetes/{admin,controller-manager,scheduler}.conf; do
    if sed -n 's/.*client-certificate-data: *//p' "$file" | base64 -d | ends_soon; then soon+=("$file"); fi
done
[ "${#soon[@]}" -gt 0 ] || [ -e "$pending" ] || exit 0

touch "$pending"
kubeadm certs renew all 9>&- || fail "kubeadm could not renew the certificates"

# Each of them reads its certificates when it starts; kubelet starts it again as soon as its pod is gone.
pods=$(crictl pods --namespace kube-system --label tier=control-plane --state ready --quiet)
for pod in $pods; do
    crictl stopp "$pod" >/dev/null || fail "the pod $pod could not be stopped"
done
systemctl restart kubelet
deadline=$((SECONDS + READY_TIMEOUT))
until kubectl --request-timeout=5s get --raw /readyz >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || fail "the API server does not answer with its new certificates within $READY_TIMEOUT s"
    sleep 1
done
rm "$pending"
echo "CHANGED: renewed the certificates${soon[*]:+, for these end within $RENEW_WITHIN_DAYS days: ${soon[*]}}"
