#!/bin/sh
# Runs a command in a throw-away root that has compilers, in this repository and with this machine's Rust: a module for that root's
# Asterisk is built with its C library and its OpenSSL. The network is not needed: what cargo needs was fetched before.
#
#   in-root.sh ROOT COMMAND...
set -eu

root=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")/.." && pwd)
cargo=${CARGO_HOME:-$HOME/.cargo}
rustup=${RUSTUP_HOME:-$HOME/.rustup}
${CARGO:-cargo} fetch --quiet --locked
# shellcheck disable=SC2016
exec unshare --mount sh -ec '
root=$1 here=$2 cargo=$3 rustup=$4
shift 4
mount --bind "$root" "$root"
mount -t tmpfs tmpfs "$root/media"
mkdir "$root/media/src" "$root/media/cargo" "$root/media/rustup"
mount --bind "$here" "$root/media/src"
mount --bind "$cargo" "$root/media/cargo"
mount --bind "$rustup" "$root/media/rustup"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
exec chroot "$root" env -i CARGO_HOME=/media/cargo RUSTUP_HOME=/media/rustup CARGO_NET_OFFLINE=true HOME=/tmp LANG=C.UTF-8 \
    PATH=/media/cargo/bin:/usr/bin:/bin "$@"
' in-root "$root" "$here" "$cargo" "$rustup" "$@"
