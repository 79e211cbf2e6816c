#!/bin/sh
# Makes DIR: a throw-away Debian root with Asterisk 22 and the peers that the host tests call. One that is there and was
# made by the same recipe (this file) is kept. It never touches an Asterisk that is installed on the machine.
#
#   root.sh DIR
#
# ROOT_MIRROR= names another Debian mirror than mmdebstrap's default.
set -eu

dir=$1
suite=forky # the Debian release that has Asterisk 22
packages="asterisk asterisk-dev asterisk-modules baresip-core sip-tester tshark openssl procps iproute2 libsrtp2-1"

recipe=$(sha256sum <"$0" | cut -c1-64)
wanted() { [ "$(cat "$dir/.recipe" 2>/dev/null)" = "$recipe" ]; }

wanted && exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "root.sh: making a root needs root. Run once: sudo $0 $dir" >&2
    exit 1
fi

mkdir -p "$(dirname "$dir")"
exec 9>"$dir.lock"
flock 9
wanted && exit 0 # another run made it meanwhile

# Made beside it and renamed when it is whole.
new=$dir.new
trap 'rm -rf "$new"' EXIT
rm -rf "$new"
echo "root.sh: making $dir (about a minute)"
# A snapshot of an archive may be older than its own Valid-Until.
# shellcheck disable=SC2086
mmdebstrap --quiet --variant=minbase --components=main --aptopt='Acquire::Check-Valid-Until "false"' \
    --include="$(echo $packages | tr ' ' ',')" "$suite" "$new" ${ROOT_MIRROR:+"$ROOT_MIRROR"}

# Calls ask for the host's name and for the root of the DNS: without answers here each of them waits for a resolver.
echo 127.0.0.1 localhost ciphertrunk A.ROOT-SERVERS.NET >"$new/etc/hosts"
echo ciphertrunk >"$new/etc/hostname"
sed -i 's/^hosts:.*/hosts: files/' "$new/etc/nsswitch.conf"

echo "$recipe" >"$new/.recipe"
rm -rf "$dir"
mv "$new" "$dir"
echo "root.sh: $(chroot "$dir" asterisk -V) in $dir"
