#!/bin/sh
# Whether AppArmor's parser takes conf/apparmor.d/asterisk-ciphertrunk in a profile of Asterisk's, and refuses a twin with a mode that
# there is not. Nothing is loaded into the kernel. Where there is no parser it says so.
#
# APPARMOR= is a folder with another parser than the machine's and its abstractions: apparmor_parser, apparmor.d.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
parser=${APPARMOR:+$APPARMOR/}apparmor_parser
base=${APPARMOR:-/etc}/apparmor.d
PATH=$PATH:/usr/sbin:/sbin
command -v "$parser" >/dev/null || {
    echo "apparmor: not tried, apparmor_parser is not there: apt-get install apparmor"
    exit 0
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
takes() {
    printf 'include <tunables/global>\nprofile asterisk /usr/sbin/asterisk {\n  include <abstractions/base>\n  include "%s"\n}\n' "$1" >"$work/profile"
    "$parser" --skip-kernel-load --base "$base" --stdout "$work/profile" >"$work/compiled" 2>"$work/said" && [ -s "$work/compiled" ]
}
takes "$here/conf/apparmor.d/asterisk-ciphertrunk" || { cat "$work/said" >&2; exit 1; }
sed 's/ mr,/ mz,/' "$here/conf/apparmor.d/asterisk-ciphertrunk" >"$work/twin"
! takes "$work/twin" || { echo "apparmor: the parser takes everything" >&2; exit 1; }
echo "apparmor: $("$parser" --version 2>/dev/null | head -n 1) takes conf/apparmor.d/asterisk-ciphertrunk"
