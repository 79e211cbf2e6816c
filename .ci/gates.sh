#!/bin/sh
# `make gates`: what is asked of a change beside its tests. Each gate is a target of the Makefile and can be run alone.
# All run; each says its name and its seconds, and those that failed are named at the end. What one printed is in
# build/gates/NAME, and is shown here if it failed: the gates may run beside something else that prints.
#
#   gates.sh TARGET...
set -u

said=build/gates
mkdir -p "$said"
failed=
began=$(date +%s)
for gate in "$@"; do
    start=$(date +%s)
    if make --no-print-directory "$gate" >"$said/$gate" 2>&1; then
        echo "gate $gate: passed, $(($(date +%s) - start)) s"
    else
        {
            sed "s/^/$gate| /" "$said/$gate"
            echo "gate $gate: FAILED, $(($(date +%s) - start)) s"
        } >&2
        failed="$failed $gate"
    fi
done
[ -z "$failed" ] || {
    echo "gates: FAILED:$failed" >&2
    exit 1
}
echo "gates: all passed, $(($(date +%s) - began)) s"
