#!/bin/sh
# Makes DIR: a throw-away Debian root with an Asterisk of branch BRANCH; that of 22 has the peers too that the host tests call.
# One that is there and was made by the same recipe (this file) is kept. It never touches an Asterisk that is installed on the
# machine.
#
#   root.sh DIR [BRANCH]     22 (Debian forky's, the default) or 16 (Debian bullseye's)
#
# ROOT_MIRROR= names another Debian mirror than mmdebstrap's default.
set -eu

dir=$1
branch=${2:-22}
asterisk="asterisk asterisk-dev asterisk-modules"
case $branch in
22)
    suite=forky
    packages="$asterisk baresip-core sip-tester tshark openssl procps iproute2 libsrtp2-1 openssl-provider-fips fail2ban haproxy softhsm2 pkcs11-provider swtpm tpm2-openssl"
    mirror=${ROOT_MIRROR:-}
    ;;
16)
    # A module for it is built in it: its C library and OpenSSL are older than those of a machine of today. Security updates
    # of this release are not whole in the archive any more.
    suite=bullseye
    packages="$asterisk procps iproute2 libsrtp2-1 gcc libc6-dev make pkg-config clang libclang-dev libssl-dev"
    mirror="deb ${ROOT_MIRROR:-http://deb.debian.org/debian} bullseye main"
    ;;
*)
    echo "root.sh: there is no recipe for Asterisk $branch: Debian has 22 and 16. For another one that you built and installed: make test-host ASTERISK_SRC=... ASTERISK_PREFIX=..." >&2
    exit 2
    ;;
esac

recipe=$(sha256sum <"$0" | cut -c1-64)
wanted() { [ "$(cat "$dir/.recipe" 2>/dev/null)" = "$recipe" ]; }

wanted && exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "root.sh: making a root needs root. Run once: sudo $0 $dir $branch" >&2
    exit 1
fi

mkdir -p "$(dirname "$dir")"
exec 9>"$dir.lock"
flock 9
wanted && exit 0 # another run made it meanwhile

# Made beside it and renamed when it is whole.
new=$dir.new
trap 'rm -rf --one-file-system "$new"' EXIT
rm -rf --one-file-system "$new"
echo "root.sh: making $dir (about a minute)"
# A snapshot of an archive may be older than its own Valid-Until. A mirror that answers nothing is asked three times more, and
# all of it ends: what waits for a root fails then, with a line.
# shellcheck disable=SC2086
timeout --kill-after=30 900 mmdebstrap --quiet --variant=minbase --components=main \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' --aptopt='Acquire::http::Timeout "30"' \
    --include="$(echo $packages | tr ' ' ',')" "$suite" "$new" ${mirror:+"$mirror"} || {
    status=$?
    [ $status -ne 124 ] || echo "root.sh: the Debian mirror gave not all of $suite in 15 minutes" >&2
    exit $status
}

# Calls ask for the host's name and for the root of the DNS: without answers here each of them waits for a resolver.
echo 127.0.0.1 localhost ciphertrunk A.ROOT-SERVERS.NET >"$new/etc/hosts"
echo ciphertrunk >"$new/etc/hostname"
sed -i 's/^hosts:.*/hosts: files/' "$new/etc/nsswitch.conf"

echo "$recipe" >"$new/.recipe"
rm -rf --one-file-system "$dir"
mv "$new" "$dir"
echo "root.sh: $(chroot "$dir" asterisk -V) in $dir"
