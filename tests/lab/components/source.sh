#!/bin/bash
# Builds Kubernetes' static programs from the source package of Debian 12 with the Go of that release, all from Debian's
# mirror and apart from the packages of this machine.
set -euo pipefail
mirror=$1 architecture=$2 work=$3 out=$4
cd "$work"

echo "== package lists of Debian 12"
mkdir -p apt/lists/partial apt/archives/partial apt/empty
cat >apt/sources.list <<LIST
deb $mirror bookworm main
deb-src $mirror bookworm main
LIST
apt=(apt-get -q -o "Dir::Etc::SourceList=$work/apt/sources.list" -o "Dir::Etc::SourceParts=$work/apt/empty"
    -o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt" -o "Dir::Cache::archives=archives"
    -o "APT::Sandbox::User=root" -o "APT::Architecture=$architecture" -o "APT::Architectures=$architecture")
"${apt[@]}" update

echo "== sources and Go"
"${apt[@]}" source --download-only kubernetes
"${apt[@]}" download golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev
for package in golang-*.deb; do
    dpkg-deb --extract "$package" toolchain
done
rm -rf source
dpkg-source --extract kubernetes_*.dsc source

# Debian's packages link Go's sources into place with absolute names.
go=$work/toolchain/usr/lib/go-1.19
for link in src api misc test; do
    [ -L "$go/$link" ] || continue
    rm "$go/$link"
    [ ! -d "$work/toolchain/usr/share/go-1.19/$link" ] || ln -s "$work/toolchain/usr/share/go-1.19/$link" "$go/$link"
done
[ -L "$go/pkg/include" ] && ln -sfn "$work/toolchain/usr/share/go-1.19/pkg/include" "$go/pkg/include"
export GOROOT=$go PATH=$go/bin:$PATH GO111MODULE=off GOFLAGS=-p=1 CGO_ENABLED=0 GOCACHE=$work/cache
go version

# With any Go since 1.18 the vendored one panics when the programs start.
rm -r source/vendor/github.com/modern-go/reflect2
cp -r toolchain/usr/share/gocode/src/github.com/modern-go/reflect2 source/vendor/github.com/modern-go/

echo "== Kubernetes"
cd source
# 1.20.5+really1.20.2-1.1+deb12u1 is 1.20.2.
version=$(dpkg-parsechangelog --show-field Version | sed -E 's/.*really//; s/-.*//')
cat >kubesmith-version <<VERSION
KUBE_GIT_COMMIT=''
KUBE_GIT_TREE_STATE='archive'
KUBE_GIT_VERSION='v$version'
KUBE_GIT_MAJOR='${version%%.*}'
KUBE_GIT_MINOR='$(echo "$version" | cut -d. -f2)'
VERSION
export KUBE_GIT_VERSION_FILE=$PWD/kubesmith-version
programs=(kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy)
make all WHAT="${programs[*]/#/cmd/}"
folder=kubernetes-$version
rm -rf "${work:?}/$folder"
mkdir "$work/$folder"
for program in "${programs[@]}"; do
    cp "_output/local/bin/linux/$architecture/$program" "$work/$folder/"
done
gcc -Os -Wall -static -DVERSION="$version" -o "$work/$folder/pause" build/pause/linux/pause.c
strip "$work/$folder/pause"

echo "== archive"
cd "$work/$folder"
test "$(./kubeadm version -o short)" = "v$version"
sha256sum kube* pause >SHA256SUMS
cd "$work"
tar --create --xz --owner=0 --group=0 --sort=name --file "$out/$folder-linux-$architecture.tar.xz.new" "$folder"
mv "$out/$folder-linux-$architecture.tar.xz.new" "$out/$folder-linux-$architecture.tar.xz"
echo "made $out/$folder-linux-$architecture.tar.xz"
