#!/bin/sh
# The module for aarch64 in Debian's Asterisk for aarch64, under qemu-user: loaded, an encrypted call over SIP over TLS, unloaded.
#
#   aarch64-asterisk.sh DIR AARCH64     DIR is a throw-away root with that Asterisk, made when it is not there; nothing of it is changed
#                                       (an overlay). AARCH64 is that of tests/aarch64.sh, which has built the module and has qemu.
#
# ROOT_MIRROR= names another Debian mirror than mmdebstrap's default.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
if [ "${1-}" != --inside ]; then
    [ "$(id -u)" -eq 0 ] || { echo "aarch64-asterisk: it needs root. Run: sudo $0 $*" >&2; exit 1; }
    dir=$1
    module=$2/target/aarch64-unknown-linux-gnu/release/libres_ciphertrunk.so
    [ -f "$module" ] || { echo "aarch64-asterisk: there is no $module: run tests/aarch64.sh module $2 first" >&2; exit 1; }
    recipe="forky asterisk asterisk-modules"
    if [ "$(cat "$dir/.recipe" 2>/dev/null)" != "$recipe" ]; then
        rm -rf "$dir" "$dir.new"
        echo "aarch64-asterisk: making $dir (two minutes, 1 GB)"
        # Unpacked and not configured: no program of its own can run while it is made.
        mmdebstrap --quiet --variant=extract --components=main --architectures=arm64 \
            --aptopt='Acquire::Check-Valid-Until "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
            --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
            --include=asterisk,asterisk-modules forky "$dir.new" ${ROOT_MIRROR:+"$ROOT_MIRROR"}
        for folder in bin sbin lib; do
            [ -e "$dir.new/$folder" ] || ln -s "usr/$folder" "$dir.new/$folder"
        done
        mkdir -p "$dir.new/proc" "$dir.new/dev" "$dir.new/var/run/asterisk" "$dir.new/var/log/asterisk"
        cp "$dir.new/usr/share/base-passwd/passwd.master" "$dir.new/etc/passwd"
        cp "$dir.new/usr/share/base-passwd/group.master" "$dir.new/etc/group"
        echo 127.0.0.1 localhost "$(uname -n)" A.ROOT-SERVERS.NET >"$dir.new/etc/hosts"
        echo 'hosts: files' >"$dir.new/etc/nsswitch.conf"
        echo "$recipe" >"$dir.new/.recipe"
        mv "$dir.new" "$dir"
    fi
    exec unshare --mount --propagation private --mount-proc --net --pid --fork --uts --ipc \
        "$0" --inside "$(cd "$dir" && pwd)" "$(readlink -f "$module")" "$(readlink -f "$2/usr/bin/qemu-aarch64")"
fi
ip link set lo up
work=$(mktemp -d)
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
root=$work/root
mount -t overlay overlay -o "lowerdir=$2,upperdir=$work/upper,workdir=$work/work" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
cp "$4" "$root/usr/bin/qemu-aarch64"
install -m 0644 "$3" "$root/usr/lib/aarch64-linux-gnu/asterisk/modules/res_ciphertrunk.so"
# qemu's select() takes no descriptor above.
# shellcheck disable=SC3045
ulimit -n 1024

. "$here/packaging/test-lib.sh"
in_root() { env -i PATH=/usr/sbin:/usr/bin chroot "$root" /usr/bin/qemu-aarch64 "$@"; }
console() { in_root /usr/sbin/asterisk -rx "$1"; }
# The process is qemu, and has the module mapped.
pidof() { pgrep -f '^/usr/bin/qemu-aarch64 /usr/sbin/asterisk -f'; }
loop_call /etc/asterisk "$root/etc/asterisk"
sed -i 's/^\[modules\]/[modules]\nnoload = res_srtp.so\nrequire = res_ciphertrunk.so/' "$root/etc/asterisk/modules.conf"
in_root /usr/sbin/asterisk -f >"$work/console" 2>&1 &
check "Asterisk for aarch64 comes up" until_holds booted
console 'core show version' | tail -n 1
check "the module is the SRTP engine" in_force
grep -E 'Kernel|PJSIP' "$said"
check "... with PJSIP" grep -q 'PJSIP: found' "$said"
check "its TLS transport is ours" until_holds answers 'ciphertrunk show transports' 'test-tls'
console 'channel originate PJSIP/loop application Echo' >"$said" 2>&1
check "an encrypted call is up" until_holds sessions 2
was=$(protected)
check "... with packets" until_holds more_packets
console 'ciphertrunk drain' >"$said" 2>&1
console 'channel request hangup all' >"$said" 2>&1
check "it is drained" until_holds grep -q 'the drain is done' "$root/var/log/asterisk/messages.log"
console 'module unload res_ciphertrunk.so' >"$said" 2>&1
check "... unloaded" [ -z "$(loaded_inode)" ]
check "... and Asterisk goes on" answers 'core show uptime' 'System uptime'
[ "$failed" -eq 0 ] || tail -n 20 "$root/var/log/asterisk/messages.log" >&2
console 'core stop now' >/dev/null 2>&1 || :
wait
finish aarch64-asterisk
