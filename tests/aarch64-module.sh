#!/bin/sh
# Looks at a module that was built for aarch64, where none is run: it is for that machine, asks the dynamic linker for nothing of
# PJSIP's, and each of the functions in late_names.h is a jump through its own word of the table (include/late.c).
#
#   aarch64-module.sh MODULE      MODULE lies where cargo has left it, build/ beside it
set -eu

module=$1
tool() { program=aarch64-linux-gnu-$1; shift; "$program" "$@"; }
fail() {
    echo "aarch64: $module: $*" >&2
    exit 1
}
tool readelf -hW "$module" | grep -q 'Machine: *AArch64' || fail "it is for another machine"
wanted=$(tool readelf --dyn-syms -W "$module" | awk '$7 == "UND" && $8 ~ /^(pj|_*ast_sip_)/ { print $8 }' | tr '\n' ' ')
[ -z "$wanted" ] || fail "the dynamic linker is to find $wanted"
# The twin: what it is to find of Asterisk's core.
tool readelf --dyn-syms -W "$module" | grep -q 'UND ast_log$' || fail "no undefined ast_log: the symbols were not read"

names=$(find "$(dirname "$module")/build" -name late_names.h -path '*res_ciphertrunk-*' -exec ls -t {} + | head -n 1)
table=$(tool nm "$module" | awk '$3 == "ct_late" { print $1 }')
[ -n "$table" ] || fail "there is no table"
# name, and the address that its adrp and ldr give, for each jump.
tool objdump -d --no-show-raw-insn "$module" | awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name); n = 0; pad = page = offset = "" }
    { n++ }
    n == 2 && /hint|bti/ { pad = 1 }
    n == 3 && /adrp\tx16/ { page = $4 ; sub(/^x16,/, "", page) ; page = $3 == "x16," ? $4 : page }
    n == 4 && /ldr\tx16, \[x16/ { offset = $0; sub(/.*\[x16,? ?#?/, "", offset); sub(/\].*/, "", offset); if (offset == "") offset = 0 }
    n == 5 && /br\tx16/ && pad != "" && page != "" { print name, page, offset }
' >/tmp/jumps
index=0
while IFS= read -r line; do
    name=$(echo "$line" | sed 's/^LATE(\([^,]*\),.*/\1/')
    jump=$(grep "^$name " /tmp/jumps) || fail "$name is no jump"
    # shellcheck disable=SC2086
    set -- $jump
    [ $((0x$2 + $3)) -eq $((0x$table + 8 * index)) ] || fail "$name jumps through another word than its own ($jump, the table is at $table)"
    index=$((index + 1))
done <"$names"
[ "$index" -gt 0 ] || fail "$names has no function"
echo "aarch64: the module is built; $index functions of PJSIP jump through their own words"
