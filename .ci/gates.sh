#!/bin/sh
# `make gates`: what is asked of a change beside its tests. Each gate is a target of the Makefile and can be run alone.
# All run; each says its name and its seconds, and those that failed are named at the end.
#
#   gates.sh TARGET...
set -u

failed=
for gate in "$@"; do
    echo "gate $gate"
    start=$(date +%s)
    if make --no-print-directory "$gate"; then
        echo "gate $gate: passed, $(($(date +%s) - start)) s"
    else
        echo "gate $gate: FAILED, $(($(date +%s) - start)) s" >&2
        failed="$failed $gate"
    fi
done
[ -z "$failed" ] || {
    echo "gates: FAILED:$failed" >&2
    exit 1
}
