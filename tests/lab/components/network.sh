#!/bin/sh
# The node agent of the lab's pod network: CNI configuration for this node, and a route to each other node's pods.
set -eu
# Said in full: kubectl finds the cluster that it runs in only when it is given no flag, and a timeout is one.
account=/var/run/secrets/kubernetes.io/serviceaccount
cat > /tmp/kubeconfig << YAML
apiVersion: v1
kind: Config
clusters:
  - name: own
    cluster: {server: "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT", certificate-authority: $account/ca.crt}
users:
  - name: own
    user: {tokenFile: $account/token}
contexts:
  - name: own
    context: {cluster: own, user: own}
current-context: own
YAML
export KUBECONFIG=/tmp/kubeconfig

all=$(sed -n 's/.*"Network": *"\([^"]*\)".*/\1/p' /etc/lab-network/net-conf.json)
iptables -w -t nat -C POSTROUTING -s "$all" ! -d "$all" -j MASQUERADE 2> /dev/null ||
    iptables -w -t nat -A POSTROUTING -s "$all" ! -d "$all" -j MASQUERADE

configure() { # this node's part of the network
    cat > /etc/cni/net.d/.lab << JSON
{"cniVersion": "0.3.1", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$1"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
JSON
    # Under its name only when it is whole: containerd looks at every change of the folder.
    mv /etc/cni/net.d/.lab /etc/cni/net.d/10-lab.conflist
}

# A watch ends now and then, and begins with all nodes again.
fields='{.metadata.name}|{.spec.podCIDR}|{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}'
while :; do
    # Services may not work here yet, and a connection that waits for one would wait long.
    until kubectl get --raw /healthz --request-timeout=2s > /dev/null 2>&1; do
        sleep 1
    done
    kubectl get nodes --watch --output "jsonpath=$fields" | while IFS='|' read -r name pods address; do
        if [ -z "$pods" ] || [ -z "$address" ]; then
            continue
        elif [ "$name" = "$NODE_NAME" ]; then
            case $(cat /etc/cni/net.d/10-lab.conflist 2> /dev/null) in
                *"\"$pods\""*) ;;
                *) configure "$pods" ;;
            esac
        else
            ip route replace "$pods" via "$address"
        fi
    done
    sleep 1
done
