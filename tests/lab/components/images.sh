#!/bin/bash
# Makes a container image of each program, as an archive in Docker's format: one layer with what Debian's programs are
# linked with, where one is needed, and one with the program itself.
set -euo pipefail
repository=$1 version=$2 etcd_tag=$3 guest=$4 programs=$5 debian=$6 agent=$7 archives=$8
work=$archives/work
path=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

layer() { # folder: packs it, names the layer by its hash, and prints the hash
    local hash
    tar --directory "$1" --sort=name --mtime=@0 --owner=0 --group=0 --create --file "$work/layer.tar" .
    hash=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
    mv "$work/layer.tar" "$work/$hash.tar"
    echo "$hash"
}

image() { # name:tag, hashes of the layers from the lowest up
    local name=$1 files='' sums='' hash
    shift
    for hash in "$@"; do
        files+=${files:+, }\"$hash.tar\"
        sums+=${sums:+, }\"sha256:$hash\"
    done
    cat > "$work/config.json" << JSON
{"architecture": "$(dpkg --print-architecture)", "os": "linux", "config": {"Env": ["PATH=$path"], "Entrypoint": $entrypoint},
 "rootfs": {"type": "layers", "diff_ids": [$sums]}}
JSON
    echo "[{\"Config\": \"config.json\", \"RepoTags\": [\"$repository/$name\"], \"Layers\": [$files]}]" > "$work/manifest.json"
    tar --directory "$work" --create --file "$archives/${name/:/-}.tar" manifest.json config.json "${@/%/.tar}"
}

program() { # folder in the image, files
    rm -rf "$work/program"
    mkdir -p "$work/program/$1"
    local target=$work/program/$1
    shift
    cp "$@" "$target"
    layer "$work/program"
}

# --- Debian's programs for all images that need any, with their libraries

mkdir -p "$work/tools/usr/bin" "$work/tools/usr/sbin" "$work/tools/usr/lib" "$work/tools/usr/lib64" "$work/tools/etc" \
    "$work/tools/run" "$work/tools/tmp" "$work/tools/var/lib"
for folder in bin sbin lib lib64; do
    ln -s "usr/$folder" "$work/tools/$folder"
done
wanted=(/usr/bin/{dash,cat,mv,sed,sleep,ip,kmod} /usr/sbin/{conntrack,xtables-nft-multi})
mapfile -t libraries < <(for file in "${wanted[@]}"; do chroot "$guest" ldd "$file"; done | grep -o '/[^ ]*' | sort -u)
libc=$(printf '%s\n' "${libraries[@]}" | grep 'libc\.so')
# libm is for iptables' extensions, which are loaded when they are used.
for file in "${wanted[@]}" "${libraries[@]}" "${libc%/*}/libm.so.6"; do
    mkdir -p "$work/tools$(dirname "$file")"
    cp --dereference "$guest$file" "$work/tools$file"
done
cp -a "$guest/usr${libc%/*}/xtables" "$work/tools/usr${libc%/*}/xtables"
ln -s dash "$work/tools/usr/bin/sh"
ln -s ../bin/kmod "$work/tools/usr/sbin/modprobe"
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -s xtables-nft-multi "$work/tools/usr/sbin/$name"
done
tools=$(layer "$work/tools")

# --- the images

entrypoint='[]'
for name in kube-apiserver kube-controller-manager kube-scheduler; do
    image "$name:v$version" "$(program usr/local/bin "$programs/$name")"
done
image "kube-proxy:v$version" "$tools" "$(program usr/local/bin "$programs/kube-proxy")"
image "etcd:$etcd_tag" "$tools" "$(program usr/bin "$debian/usr/bin/etcd" "$debian/usr/bin/etcdctl")"
cp "$agent" "$work/lab-network.sh"
rm -rf "$work/program"
mkdir -p "$work/program/usr/local/bin"
cp "$programs/kubectl" "$work/program/usr/local/bin"
cp "$agent" "$work/program/lab-network.sh"
image lab-network:v1 "$tools" "$(layer "$work/program")"
entrypoint='["/pause"]'
image pause:3.2 "$(program . "$programs/pause")"
rm -rf "$work"
