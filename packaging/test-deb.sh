#!/bin/sh
# What the Debian package does on a host: installs, comes into force, is upgraded with a call up, outlives an upgrade of
# asterisk, is removed and purged. In a copy of ROOT (Debian's asterisk with Debian's default configuration; made by
# tests/root.sh), in namespaces of its own. The packages are those in build/deb (make deb).
#
#   test-deb.sh ROOT
# The quotes are for shells and dpkg in there.
# shellcheck disable=SC2016
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
if [ "${1-}" != --inside ]; then
    [ "$(id -u)" -eq 0 ] || { echo "test-deb: it needs root. Run once: sudo make test-deb" >&2; exit 1; }
    root=$here/build/deb-host
    package=$(ls "$here"/build/deb/asterisk-ciphertrunk_*.deb 2>/dev/null) || { echo "test-deb: run make deb first" >&2; exit 1; }
    rm -rf "$root"
    cp -a "$(cd "$1" && pwd -P)" "$root"
    mkdir "$root/packages"
    cp "$package" "$root/packages/"
    # The same Asterisk once more, for an upgrade of it: by an apt of its own, with the root's index.
    echo "test-deb: fetching asterisk's own packages"
    apt=$(mktemp -d)
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/state"
    cat >"$apt/apt.conf" <<END
Dir::Etc::SourceList "$root/etc/apt/sources.list";
Dir::Etc::SourceParts "/nonexistent";
Dir::State "$apt/state";
Dir::State::Lists "$apt/lists";
Dir::State::Status "$root/var/lib/dpkg/status";
Dir::Cache "$apt/cache";
Dir::Etc::TrustedParts "$root/etc/apt/trusted.gpg.d";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "root";
END
    version=$(chroot "$root" dpkg-query -W -f '${Version}' asterisk)
    APT_CONFIG=$apt/apt.conf apt-get -qq update
    (cd "$root/packages" && APT_CONFIG=$apt/apt.conf apt-get -qq download "asterisk=$version" "asterisk-modules=$version") ||
        { echo "test-deb: asterisk $version is not in the archive any more; make a new root" >&2; exit 1; }
    rm -rf "$apt"
    exec unshare --mount --mount-proc --net --pid --fork --uts --ipc "$0" --inside "$root"
fi

root=$2
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
ip link set lo up
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # no service is started by a package here
chmod +x "$root/usr/sbin/policy-rc.d"

. "$here/packaging/test-lib.sh"
in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
console() { in_root asterisk -rx "$1"; }
# As Debian's unit starts it. `-f` stays in the foreground.
start() {
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin setsid /usr/sbin/asterisk -g -f -p -U asterisk -G asterisk >"$root/packages/console" 2>&1 &
    until_holds booted
}

# --- Before -----------------------------------------------------------------------------------------------------------

module=$(in_root dpkg-deb -c "/packages/$(basename "$(ls "$root"/packages/asterisk-ciphertrunk_*.deb)")" | sed -n 's/.*\(\/usr\/lib.*res_ciphertrunk\.so\)$/\1/p')
conf=$root/etc/asterisk/ciphertrunk.conf
modules_conf=$root/etc/asterisk/modules.conf
cp "$modules_conf" "$root/packages/modules.conf"
start
check "Debian's Asterisk with its default configuration has stock's engine" stock_in_force
pid=$(pidof asterisk)

# --- Installing -------------------------------------------------------------------------------------------------------

in_root sh -c 'dpkg -i /packages/asterisk-ciphertrunk_*.deb' >"$said" 2>&1 || :
check "it installs" [ "$(in_root dpkg-query -W -f '${Status}' asterisk-ciphertrunk)" = "install ok installed" ]
check "... and says that modules.conf needs two lines" says "needs two lines"
check "... and leaves modules.conf as it was" cmp -s "$modules_conf" "$root/packages/modules.conf"
check "... and the running Asterisk" alive
check "... with stock's engine" stock_in_force
check "... and a configuration of asterisk's that others cannot read" [ "$(in_root stat -c '%U:%G %a' /etc/asterisk/ciphertrunk.conf)" = "asterisk:asterisk 640" ]
debugged() { readelf -SW "$root$module" | grep -q ' \.debug_info'; }
check "... and a module without symbols for a debugger" not debugged

# What a restart does before the documented step, with Debian's autoload: README.Debian says it.
stop
start
check "without the documented step a restart loads it, and it takes over from stock's" in_force

# The documented step.
sed -i 's/^\[modules\]/[modules]\nnoload = res_srtp.so\nrequire = res_ciphertrunk.so/' "$modules_conf"
stop
start
check "after the documented step and a restart it is in force" in_force
sed 's/^/    | /' "$said"
check "... and stock's engine is not loaded" not answers 'module show like res_srtp.so' 'res_srtp'
check "... and its configuration was read by the user asterisk" not grep -q "ciphertrunk.conf.*cannot be read" "$root/var/log/asterisk/messages.log"

# --- An upgrade with a call up ----------------------------------------------------------------------------------------

loop_call /etc/asterisk "$root/etc/asterisk"
in_root chown -R asterisk: /etc/asterisk/keys
stop
start
pid=$(pidof asterisk)
check "its TLS transport is ours" answers 'ciphertrunk show transports' 'test-tls'
console 'channel originate PJSIP/loop application Echo' >"$said" 2>&1
check "an encrypted call is up" until_holds sessions 2
console 'ciphertrunk show sessions' | sed 's/^/    | /'

before=$(loaded_inode)
# The next version of the package: the same with another number and another byte in the module.
in_root sh -euc '
    dpkg-deb -R /packages/asterisk-ciphertrunk_*.deb /packages/next
    sed -i "s/^Version: .*/&+next/" /packages/next/DEBIAN/control
    echo >>"/packages/next'"$module"'"
    (cd /packages/next && find usr -type f -exec md5sum {} + >DEBIAN/md5sums)
    dpkg-deb --root-owner-group -b /packages/next /packages/next.deb
    echo "; changed here" >>/etc/asterisk/ciphertrunk.conf
    dpkg -i /packages/next.deb
' >"$said" 2>&1 || :
check "it is upgraded" [ "$(in_root dpkg-query -W -f '${Version}' asterisk-ciphertrunk | grep -c next)" -eq 1 ]
check "... and says when it is in force" says "in force after the next restart"
check "... and keeps the changed configuration" grep -q "; changed here" "$conf"
check "... and its owner and mode" [ "$(in_root stat -c '%U:%G %a' /etc/asterisk/ciphertrunk.conf)" = "asterisk:asterisk 640" ]
check "... and Asterisk goes on" alive
check "... with the module that it had loaded" [ "$(loaded_inode)" = "$before" ]
check "... which is not the one on the disk any more" [ "$(stat -c %i "$root$module")" != "$before" ]
check "... and the call" sessions 2
was=$(protected)
check "... with packets" until_holds more_packets

# Into force without a restart: by a drain.
is_drained() { grep -q "the drain is done" "$root/var/log/asterisk/messages.log"; }
refuses_new() { console 'ciphertrunk show status' | grep -qE '^ *Refused draining: *[1-9]'; }
console 'ciphertrunk drain' >"$said" 2>&1
check "a drain says what is left" says "Draining: yes, 2 calls, 2 SRTP sessions"
console 'channel originate PJSIP/loop application Echo' >"$said" 2>&1
check "... takes no new call" until_holds refuses_new
was=$(protected)
check "... and leaves the one that is up" until_holds more_packets
console 'module unload res_ciphertrunk.so' >"$said" 2>&1
check "... which holds the module" says "Unable to unload"
check "... and the drain has no end as long as it lasts" not is_drained
console 'channel request hangup all' >"$said" 2>&1
check "... and is done when the call has ended" until_holds is_drained
console 'module unload res_ciphertrunk.so' >"$said" 2>&1
check "... so the module can be unloaded" [ -z "$(loaded_inode)" ]
console 'module load res_ciphertrunk.so' >"$said" 2>&1
check "... and the new one loaded" in_force
check "... from the disk" [ "$(loaded_inode)" = "$(stat -c %i "$root$module")" ]
check "... in the same Asterisk" alive
console 'channel originate PJSIP/loop application Echo' >"$said" 2>&1
check "... with an encrypted call" until_holds sessions 2
stop
start
check "after a restart the new one is in force" in_force
check "... from the disk" [ "$(loaded_inode)" = "$(stat -c %i "$root$module")" ]

# --- An upgrade of asterisk -------------------------------------------------------------------------------------------

in_root sh -euc '
    for deb in /packages/asterisk_*.deb /packages/asterisk-modules_*.deb; do
        rm -rf /packages/next
        dpkg-deb -R "$deb" /packages/next
        sed -i -E "s/^(Version: .*)/\1+next/; s/(asterisk(-modules)? \(= [^)]*)\)/\1+next)/g" /packages/next/DEBIAN/control
        dpkg-deb --root-owner-group -b /packages/next "$deb.next.deb"
    done
    dpkg -i /packages/*.next.deb
' >"$said" 2>&1 || :
check "asterisk is upgraded within the branch" [ "$(in_root dpkg-query -W -f '${Version} ${Status}' asterisk | grep -c 'next install ok installed')" -eq 1 ]
check "... and the package stays" [ "$(in_root dpkg-query -W -f '${Status}' asterisk-ciphertrunk)" = "install ok installed" ]
stop
start
check "... and is in force after the restart" in_force

# What apt would do with another version of asterisk, without removing anything.
apt_takes() {
    in_root sh -euc '
        rm -rf /packages/next
        dpkg-deb -R "$(ls /packages/asterisk_*next.deb)" /packages/next
        sed -i "s/^Version: .*/Version: $1/" /packages/next/DEBIAN/control
        dpkg-deb --root-owner-group -b /packages/next /packages/other.deb
        apt-get -o APT::Sandbox::User=root --simulate --assume-yes --no-remove install /packages/other.deb
    ' sh "$1" >"$said" 2>&1
}
check "a later minor release of the branch goes in beside the package" apt_takes 1:22.99.0+dfsg-1
check "the next branch does not" not apt_takes 1:23.5.0+dfsg-1
check "... because of it" says "asterisk-ciphertrunk"

# --- Removing ---------------------------------------------------------------------------------------------------------

in_root dpkg -r asterisk-ciphertrunk >"$said" 2>&1 || :
check "it is removed" [ ! -e "$root$module" ]
check "... and says what modules.conf still requires" says "still requires res_ciphertrunk.so"
check "... and keeps its configuration" [ -e "$conf" ]
check "... and the running Asterisk goes on, with the module" in_force
cp "$root/packages/modules.conf" "$modules_conf"
stop
start
check "after the lines are out and a restart stock's engine is back" stock_in_force
stop
in_root dpkg -P asterisk-ciphertrunk >"$said" 2>&1 || :
check "it is purged" [ ! -e "$conf" ]
left=$(find "$root/etc" "$root/usr" "$root/var" -name '*ciphertrunk*' | grep -v /var/log/ || :)
echo "$left" >"$said"
check "... and leaves nothing" [ -z "$left" ]

finish test-deb
