#!/bin/bash
# Makes docs/pictures/*.svg and *.txt: the console of a real Asterisk, Debian's with its default configuration, which is moved from stock to
# Ciphertrunk and back (docs/migration.md), and then looked at as an operator does (docs/operating.md). In an overlay over ROOT, which
# stays as it is, in namespaces of its own. It wants build/res_ciphertrunk.so (make module) and root's rights.
#
#   docs/pictures/session.sh build/root
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
if [ "${1-}" != --inside ]; then
    [ "$(id -u)" -eq 0 ] || { echo "session: it needs root" >&2; exit 1; }
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    (cd "$here" && packaging/built.sh asterisk-headers/fetched >"$work/BUILT")
    unshare --mount --net --pid --fork --mount-proc --uts "$0" --inside "$(cd "$1" && pwd -P)" "$work"
    for text in "$work"/out/*.txt; do
        cp "$text" "$here/docs/pictures/"
        python3 "$here/docs/pictures/svg.py" "$text" "$here/docs/pictures/$(basename "${text%.txt}").svg"
    done
    exit
fi

lower=$2 work=$3
hostname pbx
ip link set lo up
mkdir "$work/upper" "$work/over" "$work/root" "$work/out"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/over" "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/media"
# What `make tarball` packs, unpacked.
echo '127.0.0.1 localhost pbx' >"$root/etc/hosts"
mkdir "$root/media/ciphertrunk"
(cd "$here" && cp -r build/res_ciphertrunk.so conf/ciphertrunk.conf.sample docs/xml/res_ciphertrunk-en_US.xml README.md CHANGELOG.md LICENSE docs \
    packaging/install.sh "$work/BUILT" "$root/media/ciphertrunk/")

in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root "$@"; }
clean() { grep -v -e '^No ethernet interface found' -e '^Unable to connect to remote' || :; }
# A command as somebody types it, and what it answers, into the text $text.
type_() {
    printf '%s pbx# %s\n' "$(date +%T)" "$*" >>"$text"
    in_root sh -c "cd /media/ciphertrunk; $*" 2>&1 | clean | fold -s -w 140 >>"$text" || :
}
say() { printf '\n# %s\n' "$*" >>"$text"; }
console() { in_root asterisk -rx "$1" 2>/dev/null | clean; }
until_() { # WHAT COMMAND...: a hang alone reaches the end
    what=$1 tries=300
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "session: waited in vain for $what" >&2; tail -n 5 "$root/var/log/asterisk/messages.log" "$root/var/carrier/log/messages" >&2; console 'core show channels' >&2; exit 1; }
        sleep 0.1
    done
}
answers() { console "$1" | grep -qE "$2"; }

# --- A customer's Asterisk and two carriers' ----------------------------------------------------------------------------

in_root mkdir -p /etc/asterisk/keys /etc/carrier /var/carrier/run /var/carrier/log /var/carrier/lib /var/carrier/spool
ca() { in_root sh -c "cd /etc/asterisk/keys && openssl req -quiet -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 400 $*"; }
ca "-subj '/CN=Example CA' -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem"
ca "-CA ca.pem -CAkey ca.key -subj /CN=pbx.example.com -addext subjectAltName=DNS:pbx.example.com -addext basicConstraints=critical,CA:FALSE -keyout privkey.pem -out fullchain.pem"
ca "-CA ca.pem -CAkey ca.key -subj /CN=carrier -addext subjectAltName=IP:127.0.0.20 -addext basicConstraints=critical,CA:FALSE -keyout carrier.key -out carrier.pem"
in_root sh -c 'chown -R asterisk: /etc/asterisk/keys'
cat >>"$root/etc/asterisk/pjsip.conf" <<'END'

[transport-tls]
type = transport
protocol = tls
bind = 127.0.0.10:5061
cert_file = /etc/asterisk/keys/fullchain.pem
priv_key_file = /etc/asterisk/keys/privkey.pem
ca_list_file = /etc/asterisk/keys/ca.pem
verify_server = yes
method = tlsv1_2

[carrier]
type = endpoint
transport = transport-tls
context = from-trunk
disallow = all
allow = ulaw
aors = carrier
media_encryption = sdes

[carrier]
type = aor
contact = sip:127.0.0.20:5061\;transport=tls
qualify_frequency = 60

[carrier]
type = identify
endpoint = carrier
match = 127.0.0.20

[oldcarrier]
type = endpoint
transport = transport-tls
disallow = all
allow = ulaw
aors = oldcarrier
media_encryption = sdes

[oldcarrier]
type = aor
contact = sip:127.0.0.20:5071\;transport=tls
END
cat >"$root/etc/carrier/asterisk.conf" <<'END'
[directories]
astetcdir = /etc/carrier
astrundir = /var/carrier/run
astlogdir = /var/carrier/log
astspooldir = /var/carrier/spool
astdbdir = /var/carrier/lib
END
printf '[modules]\nautoload = yes\nnoload = res_ciphertrunk.so\n' >"$root/etc/carrier/modules.conf"
printf '[general]\n[logfiles]\nmessages => error\n' >"$root/etc/carrier/logger.conf"
printf '[general]\nrtpstart=30000\nrtpend=30999\n' >"$root/etc/carrier/rtp.conf"
printf '[default]\nexten => _X.,1,Answer()\n same => n,Echo()\n' >"$root/etc/carrier/extensions.conf"
for port in 5061 5071; do
    printf '[tls%s]\ntype=transport\nprotocol=tls\nbind=127.0.0.20:%s\ncert_file=/etc/asterisk/keys/carrier.pem\npriv_key_file=/etc/asterisk/keys/carrier.key\nmethod=tlsv1_2\n' "$port" "$port"
done >"$root/etc/carrier/pjsip.conf"
cat >>"$root/etc/carrier/pjsip.conf" <<'END'
[customer]
type=endpoint
context=default
disallow=all
allow=ulaw
media_encryption=sdes
[customer]
type=identify
endpoint=customer
match=127.0.0.10
match=127.0.0.0/8
END
in_root sh -c 'chown -R asterisk: /etc/carrier /var/carrier'

start() { # CONFIGURATION NAME
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin setsid /usr/sbin/asterisk -g -f -p -C "$1/asterisk.conf" -U asterisk -G asterisk >"$work/$2" 2>&1 &
}
carrier() { in_root asterisk -C /etc/carrier/asterisk.conf -rx "$1" 2>/dev/null | clean; }
booted() { "$1" 'core waitfullybooted' | grep -q 'fully booted'; }

text=$work/out/migration.txt
start /etc/carrier carrier
start /etc/asterisk ours
until_ "the carrier's Asterisk" booted carrier
until_ "our Asterisk" booted console
call_up() { answers 'core show channels count' '^1 active channel'; }
no_call() { answers 'core show channels count' '^0 active channels'; }
reachable() { answers 'pjsip show contacts' '5061.*Avail'; }

# --- The migration ------------------------------------------------------------------------------------------------------

begun=$(date +%s)
say "1. Before: stock, with a call up"
console 'pjsip qualify carrier' >/dev/null
until_ "the carrier to be reachable" reachable
console 'channel originate PJSIP/100@carrier application Milliwatt' >/dev/null
until_ "a call" call_up
type_ "asterisk -V"
type_ "asterisk -rx 'module show like srtp'"
type_ "asterisk -rx 'core show channels count'"
type_ "cp -a /etc/asterisk /root/asterisk.before"
say "2. Install (from the archive); the running Asterisk is not touched"
type_ "./install.sh --dry-run | grep -v /share/doc/"
type_ "./install.sh"
say "3. modules.conf"
type_ "sed -i 's/^\[modules\]/&\nnoload = res_srtp.so\nrequire = res_ciphertrunk.so/' /etc/asterisk/modules.conf"
say "4. Into force without a restart: not while an encrypted call is up"
type_ "asterisk -rx 'module unload res_srtp.so'"
type_ "asterisk -rx 'module load res_ciphertrunk.so'"
until_ "the reason" grep -q 'another SRTP engine' "$root/var/log/asterisk/messages.log"
type_ "grep 'Ciphertrunk: ' /var/log/asterisk/messages.log | tail -n 1"
type_ "asterisk -rx 'core show channels count'"
console 'channel request hangup all' >/dev/null
until_ "the end of the call" no_call
type_ "asterisk -rx 'xmldoc reload'"
type_ "asterisk -rx 'module load res_ciphertrunk.so'"
until_ "the engine" answers 'ciphertrunk show status' 'SRTP engine: ours'
until_ "the transport" answers 'ciphertrunk show transports' 'transport-tls Address'
say "5. Verify"
type_ "asterisk -rx 'ciphertrunk show status' | head -n 12"
type_ "asterisk -rx 'ciphertrunk show transports'"
type_ "grep Ciphertrunk /var/log/asterisk/messages.log | tail -n 2"
console 'pjsip qualify carrier' >/dev/null
until_ "a connection that is ours" answers 'ciphertrunk show connections' '127.0.0.20'
console 'channel originate PJSIP/100@carrier application Milliwatt' >/dev/null
until_ "a call" call_up
sleep 2
type_ "asterisk -rx 'ciphertrunk show calls'"
printf '\n# Took %s s, with everything typed by a script\n' "$(($(date +%s) - begun))" >>"$text"

# --- An operator's look ---------------------------------------------------------------------------------------------------

text=$work/out/status.txt
# What goes wrong meanwhile: an old client, one without TLS, a carrier without SRTP.
in_root sh -c 'openssl s_client -connect 127.0.0.10:5061 -tls1 -cipher DEFAULT@SECLEVEL=0 </dev/null >/dev/null 2>&1 || :'
in_root bash -c 'exec 3<>/dev/tcp/127.0.0.10/5061; printf "OPTIONS sip:pbx SIP/2.0\r\n\r\n" >&3; read -r -t 5 _ <&3 || :'
sed -i 's/media_encryption=sdes/media_encryption=no/' "$root/etc/carrier/pjsip.conf"
carrier 'module reload res_pjsip.so' >/dev/null
console 'channel originate PJSIP/100@oldcarrier application Milliwatt' >/dev/null
until_ "the refusals" sh -c "chroot '$root' asterisk -rx 'ciphertrunk show refusals' | grep -q remote-refused-srtp"
say "Is it in force, and how much"
type_ "asterisk -rx 'ciphertrunk show status'"
text=$work/out/connections.txt
say "Who is connected"
type_ "asterisk -rx 'ciphertrunk show connections'"
type_ "asterisk -rx 'ciphertrunk show certificates'"
say "How calls are encrypted"
type_ "asterisk -rx 'ciphertrunk show calls'"
text=$work/out/refusals.txt
say "What failed, and what to do"
type_ "asterisk -rx 'ciphertrunk show refusals'"
type_ "asterisk -rx 'ciphertrunk explain remote-refused-srtp'"
text=$work/out/keylog.txt
say "The keys of one peer, for a capture, for a time"
type_ "asterisk -rx 'ciphertrunk keylog start /var/log/asterisk/carrier.keys peer carrier for 5m'"
type_ "asterisk -rx 'ciphertrunk keylog show'"
type_ "asterisk -rx 'ciphertrunk keylog stop'"
type_ "rm /var/log/asterisk/carrier.keys"

# --- Going back -----------------------------------------------------------------------------------------------------------

text=$work/out/going-back.txt
begun=$(date +%s)
say "Back to stock, with a call up"
type_ "sed -i '/res_srtp.so\|res_ciphertrunk.so/d' /etc/asterisk/modules.conf"
type_ "asterisk -rx 'ciphertrunk drain'"
type_ "asterisk -rx 'ciphertrunk show status' | grep Draining"
console 'channel request hangup all' >/dev/null
until_ "the drain's end" grep -q 'the drain is done' "$root/var/log/asterisk/messages.log"
type_ "grep Ciphertrunk /var/log/asterisk/messages.log | tail -n 1"
type_ "asterisk -rx 'module unload res_ciphertrunk.so'"
type_ "asterisk -rx 'module load res_srtp.so'"
type_ "asterisk -rx 'module show like srtp'"
sed -i 's/media_encryption=no/media_encryption=sdes/' "$root/etc/carrier/pjsip.conf"
carrier 'module reload res_pjsip.so' >/dev/null
console 'channel originate PJSIP/100@carrier application Milliwatt' >/dev/null
until_ "a call of stock's" call_up
type_ "asterisk -rx 'core show channels count'"
printf '\n# Took %s s\n' "$(($(date +%s) - begun))" >>"$text"
console 'core stop now' >/dev/null
carrier 'core stop now' >/dev/null
