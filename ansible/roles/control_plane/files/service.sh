#!/bin/bash
# Makes the Service that the role `probe` asks on every node, anew in each run: only a controller-manager and kube-proxies
# that follow the API now can make it answer. Behind it are the API servers' pods, the one workload that every cluster
# has whatever its images are. Its address is the last line of standard output.
set -euo pipefail
export KUBECONFIG=/etc/kubernetes/admin.conf

kubectl delete service kubesmith-probe --namespace kube-system --ignore-not-found >/dev/null
address=$(
    kubectl create -f - --output "jsonpath={.spec.clusterIP}" <<'YAML'
apiVersion: v1
kind: Service
metadata:
  name: kubesmith-probe
  namespace: kube-system
spec:
  selector: {component: kube-apiserver, tier: control-plane}
  ports: [{name: https, port: 443, targetPort: 6443, protocol: TCP}]
YAML
) || { echo "FAILED: the Service kubesmith-probe could not be made" >&2; exit 1; }
echo "probe Service: $address"
