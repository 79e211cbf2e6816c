#!/bin/sh
# Puts the files of Debian packages, with whatever they need that the root has not, into DIR: the tests' labs lay DIR/usr over the root's
# (CIPHERTRUNK_TEST_TOOLS). The root is not touched. What the archive does not have is named and left out.
#
#   packages.sh ROOT DIR PACKAGE...
set -eu

root=$(cd "$1" && pwd)
mkdir -p "$2"
dir=$(cd "$2" && pwd)
shift 2
stamp="$(cat "$root/.recipe") $*"

[ "$(cat "$dir/.made" 2>/dev/null)" = "$stamp" ] && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The signed index that the root was made from, with an apt of its own: the machine's lists are not touched.
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
cat >"$work/apt.conf" <<END
Dir::Etc::SourceList "$root/etc/apt/sources.list";
Dir::Etc::SourceParts "/nonexistent";
Dir::State::Lists "$work/lists";
Dir::State::Status "$root/var/lib/dpkg/status";
Dir::Cache "$work/cache";
Dir::Etc::TrustedParts "$root/etc/apt/trusted.gpg.d";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "root";
END
export APT_CONFIG="$work/apt.conf"
apt-get -qq update
apt-get -qq -y --no-install-recommends --download-only -o Debug::NoLocking=1 install "$@" >/dev/null ||
    { echo "packages.sh: the archive cannot give $* for this root" >&2; exit 1; }
mkdir -p "$dir/usr"
for package in "$work"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$dir"
done
echo "$stamp" >"$dir/.made"
