#!/bin/bash
# containerd with a configuration that kubelet accepts, and kubeadm, kubelet and kubectl in exactly the wanted version.
# On an image that has all of it, nothing is fetched and nothing is changed.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
packages="kubelet kubeadm kubectl"
config=/etc/containerd/config.toml
apt=(apt-get -q -y -o "DPkg::Lock::Timeout=$PACKAGE_LOCK_TIMEOUT" -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# The lock of the package lists knows no timeout of its own, hence the repetition.
update_lists() {
    local deadline=$((SECONDS + PACKAGE_LOCK_TIMEOUT))
    until "${apt[@]}" "$@" update; do
        [ "$SECONDS" -lt "$deadline" ] || fail "the package lists could not be read within $PACKAGE_LOCK_TIMEOUT s"
        sleep 5
    done
}

fetch() { # url, file
    local reason
    reason=$(download "$1" "$2" 2>&1) || fail "$1 could not be fetched: $reason"
}

download() {
    python3 - "$1" "$2" <<'PYTHON'
import sys, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1], timeout=60) as answer, open(sys.argv[2], "wb") as file:
        file.write(answer.read())
except OSError as error:
    sys.exit(str(error))
PYTHON
}

# --- containerd

install_containerd() {
    "${apt[@]}" install containerd 2>/dev/null || { update_lists && "${apt[@]}" install containerd; } ||
        fail "the distribution's package containerd could not be installed"
    echo "CHANGED: installed containerd"
}

# Version 2 of the file is for containerd 1.x; version 3 is read by every 2.x.
render_config() {
    local pause
    pause=$(kubeadm config images list --kubernetes-version "v$KUBERNETES_VERSION" 2>/dev/null | grep /pause: || echo registry.k8s.io/pause:3.10)
    case $(containerd --version | awk '{print $3}' | tr -d v) in
        1.*) cat <<TOML ;;
version = 2

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause"

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = true
TOML
        *) cat <<TOML ;;
version = 3
imports = ["/etc/containerd/conf.d/*.toml"]

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "$pause"

[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = true
TOML
    esac
}

# The files that packages bring switch the CRI plugin off, or leave cgroups to cgroupfs. Others' good files stay, but one that
# never looks for mirrors is none where there is one.
config_is_good() {
    grep -qE '^\s*SystemdCgroup\s*=\s*true' "$config" 2>/dev/null && ! grep -qE '^\s*disabled_plugins.*cri' "$config" &&
        { [ -z "$REGISTRY_MIRROR" ] || grep -qE '^\s*config_path\s*=.*/etc/containerd/certs\.d' "$config"; }
}

# Asked first for every image of every registry; containerd reads this anew at each pull. Where it has no answer, the
# registry itself is asked.
mirror_registries() {
    local hosts=/etc/containerd/certs.d/_default/hosts.toml wanted
    wanted=$(printf '[host."%s"]\n  capabilities = ["pull", "resolve"]\n' "$REGISTRY_MIRROR")
    if [ -z "$REGISTRY_MIRROR" ] || [ "$(cat "$hosts" 2>/dev/null)" = "$wanted" ]; then return; fi
    install -d -m 0755 "${hosts%/*}"
    echo "$wanted" >"$hosts"
    echo "CHANGED: $hosts"
}

# --- Kubernetes

installed_version() { # package: what dpkg knows, else what a binary from elsewhere says
    dpkg-query --show --showformat='${Version}' "$1" 2>/dev/null | sed 's/-.*//' | grep . && return
    case $1 in
        kubeadm) kubeadm version -o short 2>/dev/null ;;
        kubectl) kubectl version --client 2>/dev/null | head -n 1 ;;
        *) "$1" --version 2>/dev/null ;;
    esac | sed -E 's/^[^0-9]*//'
}

all_installed() {
    local package
    for package in $packages; do
        [ "$(installed_version "$package")" = "$KUBERNETES_VERSION" ] || return 1
    done
}

# apt reads an armoured key as .asc and a binary one as .gpg, so that gnupg is not needed.
add_repository() {
    local minor=${KUBERNETES_VERSION%.*} key url
    url=$PACKAGE_MIRROR/core:/stable:/v$minor/deb
    install -d -m 0755 /etc/apt/keyrings
    key=$(mktemp)
    fetch "$url/Release.key" "$key"
    rm -f /etc/apt/keyrings/kubesmith-kubernetes.*
    if grep -q 'BEGIN PGP' "$key"; then keyring=/etc/apt/keyrings/kubesmith-kubernetes.asc; else keyring=/etc/apt/keyrings/kubesmith-kubernetes.gpg; fi
    install -m 0644 "$key" "$keyring"
    rm -f "$key"
    echo "deb [signed-by=$keyring] $url/ /" >/etc/apt/sources.list.d/kubesmith-kubernetes.list
    # Only this list: the distribution's lists may be large or out of reach, and may not be needed.
    update_lists -o Dir::Etc::sourcelist=sources.list.d/kubesmith-kubernetes.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
}

install_kubernetes() {
    local package revision wanted=()
    add_repository
    for package in $packages; do
        revision=$(apt-cache madison "$package" | awk '{print $3}' | grep -m 1 "^${KUBERNETES_VERSION//./\\.}-") ||
            fail "$PACKAGE_MIRROR has no $package $KUBERNETES_VERSION: choose a version that exists there"
        wanted+=("$package=$revision")
    done
    "${apt[@]}" --simulate --allow-change-held-packages --allow-downgrades install "${wanted[@]}" >/dev/null 2>&1 || update_lists
    "${apt[@]}" --allow-change-held-packages --allow-downgrades install "${wanted[@]}" || fail "${wanted[*]} could not be installed"
    echo "CHANGED: installed ${wanted[*]}"
}

hold_packages() {
    local held package
    held=$(apt-mark showhold)
    for package in $packages; do
        if ! grep -qx "$package" <<<"$held" && dpkg-query --show "$package" >/dev/null 2>&1; then
            apt-mark hold "$package" >/dev/null
            echo "CHANGED: holding $package"
        fi
    done
}

# --- In this order: kubeadm knows the pause image that containerd is told of.

all_installed || install_kubernetes
hold_packages
command -v containerd >/dev/null || install_containerd

if ! config_is_good; then
    install -d -m 0755 /etc/containerd /etc/containerd/certs.d
    render_config >"$config.new"
    mv "$config.new" "$config"
    systemctl restart containerd || fail "containerd does not start: $(systemctl status --no-pager --lines=5 containerd | tail -n 5)"
    echo "CHANGED: $config"
fi

mirror_registries

for service in containerd kubelet; do
    systemctl is-enabled --quiet "$service" 2>/dev/null && continue
    systemctl enable "$service" >/dev/null 2>&1 || fail "the service $service cannot be enabled"
    echo "CHANGED: enabled $service"
done
# kubelet has nothing to run before kubeadm has been here.
services=containerd
[ ! -e /etc/kubernetes/kubelet.conf ] || services="containerd kubelet"
for service in $services; do
    systemctl is-active --quiet "$service" && continue
    systemctl start "$service" || fail "$service does not start: $(systemctl status --no-pager --lines=5 "$service" | tail -n 5)"
    echo "CHANGED: started $service"
done
