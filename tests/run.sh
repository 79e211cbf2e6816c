#!/bin/sh
# `make test`: cargo test, which says of each binary which of how many it is, and at its end the seconds. Each binary's
# closing lines are cargo's, and so is what becomes of a failure: the others run too, and cargo names it at the end.
#
#   run.sh [ARGUMENTS OF cargo test]
set -eu

if [ "${1-}" = --binary ]; then
    # Called by cargo in place of a test binary: run.sh --binary DIR BINARY ARGUMENTS
    dir=$2
    shift 2
    case $1 in
    */deps/*) ;;
    *) exec "$@" ;; # a doc test
    esac
    n=$(($(cat "$dir/done") + 1))
    echo "$n" >"$dir/done"
    name=$(basename "$1" | sed 's/-[0-9a-f]*$//')
    which="[$n of $(cat "$dir/all")] $name"
    echo "$which"
    start=$(date +%s)
    status=0
    "$@" || status=$?
    outcome=passed
    [ "$status" -eq 0 ] || outcome="FAILED ($status)"
    echo "$which: $outcome, $(($(date +%s) - start)) s"
    exit "$status"
fi

cargo=${CARGO:-cargo}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$cargo" test "$@" --no-run
# Again, to be read: nothing is left to compile.
"$cargo" test "$@" --no-run 2>&1 | grep -c '^ *Executable' >"$dir/all"
echo 0 >"$dir/done"
"$cargo" --config "target.'cfg(all())'.runner = ['$PWD/tests/run.sh', '--binary', '$dir']" test "$@" --no-fail-fast
