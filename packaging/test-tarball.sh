#!/bin/sh
# What the archive of `make tarball` does on a host with an Asterisk from source: refused by others, a dry run, installed, in
# force with a call, installed again with the call up and over a changed configuration, uninstalled. The Asterisk is the one that
# was installed in PREFIX; everything is in an overlay over that, in namespaces of this script's, and nothing of it is changed.
#
#   test-tarball.sh TARBALL PREFIX [OTHER...]     OTHER: prefixes of Asterisks that it must not go into
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
if [ "${1-}" != --inside ]; then
    [ "$(id -u)" -eq 0 ] || { echo "test-tarball: it needs root" >&2; exit 1; }
    if [ $# -lt 2 ] || [ ! -f "$1" ] || [ ! -x "$2/sbin/asterisk" ]; then
        echo "usage: $0 TARBALL PREFIX [OTHER...], where PREFIX/sbin/asterisk is" >&2
        exit 2
    fi
    exec unshare --mount --propagation private --mount-proc --net --pid --fork --uts --ipc "$0" --inside "$@"
fi
tarball=$(readlink -f "$2")
prefix=$(cd "$3" && pwd)
shift 3
ip link set lo up
work=$(mktemp -d)
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work"
mount -t overlay overlay -o "lowerdir=$prefix,upperdir=$work/upper,workdir=$work/work" "$prefix"

. "$here/packaging/test-lib.sh"
conf=$prefix/etc/asterisk
LD_LIBRARY_PATH=$prefix/lib:$prefix/lib64
export LD_LIBRARY_PATH
console() { "$prefix/sbin/asterisk" -C "$conf/asterisk.conf" -rx "$1"; }
start() {
    setsid "$prefix/sbin/asterisk" -C "$conf/asterisk.conf" -g -f >"$work/console" 2>&1 &
    until_holds booted
}
# What must not change: every file with its inode and contents.
state() { (cd "$1" && find sbin lib etc share -type f -exec stat -c '%n %i %s %Y' {} + | sort); }

# A configuration of the least, as that Asterisk has none or another.
rm -rf "$conf"
mkdir -p "$conf"
moddir=$(find "$prefix/lib" "$prefix/lib64" -type d -path '*/asterisk/modules' 2>/dev/null | head -n 1)
printf '[directories]\nastetcdir => %s\nastmoddir => %s\n' "$conf" "$moddir" >"$conf/asterisk.conf"
printf '[modules]\nautoload = yes\n' >"$conf/modules.conf"
printf '[logfiles]\nmessages.log => notice,warning,error\n' >"$conf/logger.conf"
printf '[general]\n' >"$conf/extensions.conf"
: >"$conf/pjsip.conf"
loop_call "$conf" "$conf"
module=$moddir/res_ciphertrunk.so
rm -f "$module"

start
check "the Asterisk has stock's engine" stock_in_force
tar -xzf "$tarball" -C "$work"
archive=$(find "$work" -maxdepth 1 -type d -name 'ciphertrunk-*')
install() { "$archive/install.sh" --prefix "$prefix" "$@" >"$said" 2>&1; }

for other; do
    was=$(state "$other")
    not_there() {
        ! "$archive/install.sh" --prefix "$other" --confdir "$conf" --moddir "$moddir" >"$said" 2>&1 &&
            [ "$(wc -l <"$said")" -eq 1 ] && [ "$(state "$other")" = "$was" ] && [ ! -e "$module" ]
    }
    check "$("$other/sbin/asterisk" -V) refuses it in one line, and nothing is written" not_there
    sed 's/^/    | /' "$said"
done

was=$(state "$prefix")
check "a dry run says what it would do" install --dry-run
check "... with the module's path" says "res_ciphertrunk.so as $module"
check "... and does nothing" [ "$(state "$prefix")" = "$was" ]
pid=$(pidof asterisk)
check "it installs" install
check "... and says what modules.conf lacks" says "require = res_ciphertrunk.so"
check "... and leaves the running Asterisk" alive
check "... with stock's engine" stock_in_force
printf 'noload = res_srtp.so\nrequire = res_ciphertrunk.so\n' >>"$conf/modules.conf"
stop
start
pid=$(pidof asterisk)
check "after the documented step and a restart it is in force" in_force
sed 's/^/    | /' "$said"
check "its TLS transport is ours" answers 'ciphertrunk show transports' 'test-tls'
console 'channel originate PJSIP/loop application Echo' >"$said" 2>&1
check "an encrypted call is up" until_holds sessions 2
console 'ciphertrunk show sessions' | sed 's/^/    | /'

before=$(loaded_inode)
check "the loaded module is the one on the disk" [ "$(stat -c %i "$module")" = "$before" ]
echo '; changed here' >>"$conf/ciphertrunk.conf"
echo '; the next version' >>"$archive/ciphertrunk.conf.sample"
check "it is installed again, with the call up" install
check "... as a new file" [ "$(stat -c %i "$module")" != "$before" ]
check "... and Asterisk goes on" alive
check "... with the module that it had loaded" [ "$(loaded_inode)" = "$before" ]
check "... and says that the changed configuration stays" says "ciphertrunk.conf was changed here, and stays"
check "... which it does" grep -q '; changed here' "$conf/ciphertrunk.conf"
was=$(protected)
check "... and so does the call, with packets" until_holds more_packets

check "it is not uninstalled while modules.conf requires it" not install --uninstall
check "... in one line" [ "$(wc -l <"$said")" -eq 1 ]
stop
printf '[modules]\nautoload = yes\n' >"$conf/modules.conf"
check "it is uninstalled" install --uninstall
check "... the module" [ ! -e "$module" ]
check "... and the documents" [ ! -e "$prefix/share/doc/ciphertrunk" ]
check "... and the changed configuration stays" grep -q '; changed here' "$conf/ciphertrunk.conf"
start
check "stock's engine is back" stock_in_force
stop
finish test-tarball
