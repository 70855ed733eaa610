#!/bin/sh
# Imports archives of images into a containerd of their own, whose state the guests start with. Runs in mount and process
# namespaces of its own, so that nothing of it is left.
set -eu
root=$1 state=$2 archives=$3
mount --make-rprivate /
mkdir -p "$root/var/lib/containerd"
mount --bind "$state" "$root/var/lib/containerd"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mkdir "$root/run/archives"
mount --bind "$archives" "$root/run/archives"
printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' > "$root/run/bake.toml"
chroot "$root" containerd --config /run/bake.toml --log-level warn &
containerd=$!
until chroot "$root" ctr version > /dev/null 2>&1; do
    kill -0 "$containerd"
    sleep 0.1
done
for archive in "$archives"/*.tar; do
    chroot "$root" ctr --namespace k8s.io images import "/run/archives/${archive##*/}"
done
kill "$containerd"
wait "$containerd" || true
