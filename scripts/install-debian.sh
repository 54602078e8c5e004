#!/bin/sh
# usage: sh scripts/install-debian.sh
# Installs the Debian packages that the tests use as judges and engines. Does nothing without root or apt-get.
set -eu

# program in PATH, then the package that has it
missing=""
while read -r program package; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null 2>&1 || missing="$missing $package"
done <<'LIST'
podman podman
runc runc
catatonit catatonit
conmon conmon
docker-registry docker-registry
skopeo skopeo
buildah buildah
umoci umoci
debootstrap debootstrap
newuidmap uidmap
unshare util-linux
setpriv util-linux
capsh libcap2-bin
nginx nginx
runsc runsc
strace strace
ip iproute2
mkfs.xfs xfsprogs
mkfs.btrfs btrfs-progs
git git
setfattr attr
xz xz-utils
bzip2 bzip2
faketime faketime
zstd zstd
chromium chromium
jsonschema python3-jsonschema
fish fish
zsh zsh
rsync rsync
LIST
# Debian's static busybox has the same program name as the dynamic one, so the package is asked for.
dpkg -s busybox-static >/dev/null 2>&1 || missing="$missing busybox-static"
# Screenshots without a font are blank.
dpkg -s fonts-dejavu-core >/dev/null 2>&1 || missing="$missing fonts-dejavu-core"
# Libraries, not programs: the image takes them along.
dpkg -s liblzma5 libbz2-1.0 >/dev/null 2>&1 || missing="$missing liblzma5 libbz2-1.0"
[ "$(uname -m)" != x86_64 ] || [ -e /usr/lib/x86_64-linux-gnu/libisal.so.2 ] || missing="$missing libisal2"
# Where services start by themselves (only systemd starts these two), nobody gets an ssh server or a containerd from us; the
# tests that need one say so.
if [ ! -d /run/systemd/system ]; then
  [ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
  [ -x /usr/bin/containerd ] || missing="$missing containerd"
fi

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "Not root on Debian: tests that need$missing are skipped, each with its reason" >&2
  exit 0
fi
echo "Installing Debian packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list of words
apt-get -qq install -y --no-install-recommends $missing >/dev/null
