#!/bin/sh
# Puts the valgrind of the root's own Debian into DIR, with the symbols of its C library, without which valgrind does not
# start. The root is not touched.
#
#   valgrind.sh ROOT DIR
set -eu

root=$(cd "$1" && pwd)
mkdir -p "$2"
dir=$(cd "$2" && pwd)
libc=$(chroot "$root" dpkg-query -W -f '${Version}' libc6)

[ "$(cat "$dir/.libc" 2>/dev/null)" = "$libc" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The signed index that the root was made from, with an apt of its own: the machine's lists are not touched.
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages"
cat >"$work/apt.conf" <<EOF
Dir::Etc::SourceList "$root/etc/apt/sources.list";
Dir::Etc::SourceParts "/nonexistent";
Dir::State::Lists "$work/lists";
Dir::State::Status "$root/var/lib/dpkg/status";
Dir::Cache "$work/cache";
Dir::Etc::TrustedParts "$root/etc/apt/trusted.gpg.d";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "root";
EOF
export APT_CONFIG="$work/apt.conf"
apt-get -qq update
cd "$work/packages"
apt-get -qq download valgrind "libc6-dbg=$libc" ||
    { echo "valgrind.sh: the archive has no libc6-dbg $libc any more; make a new root" >&2; exit 1; }
for package in *.deb; do
    dpkg-deb -x "$package" "$dir"
done
echo "$libc" >"$dir/.libc"
