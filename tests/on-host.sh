#!/bin/sh
# Runs the host tests in an Asterisk that you built and installed, with the module built for it; the peers are those of the
# throw-away root (make root). It changes nothing of that Asterisk, which may run meanwhile.
#
#   on-host.sh SRC PREFIX [TEST...]
#
# SRC is the source tree in which it was built, PREFIX where it is installed (configure's --prefix; /usr, /usr/local).
set -eu

[ $# -ge 2 ] && [ -n "$1" ] && [ -n "$2" ] ||
    { echo "usage: make test-host ASTERISK_SRC=/usr/src/asterisk-... ASTERISK_PREFIX=/usr [TESTS=name]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
src=$(cd "$1" && pwd) prefix=$(cd "$2" && pwd)
shift 2
cd "$here"

[ -x "$prefix/sbin/asterisk" ] ||
    { echo "test-host: there is no $prefix/sbin/asterisk. Install it: make -C $src install; or name the --prefix it has" >&2; exit 1; }
new=build/hosts/new
mkdir -p build/hosts
asterisk-headers/fetch.sh --tree "$src" "$here/$new"
version=$(sed -n 's/^version //p' "$new/MANIFEST")
installed=$(env LD_LIBRARY_PATH="$prefix/lib:$prefix/lib64" "$prefix/sbin/asterisk" -V | sed 's/^Asterisk //')
[ "$version" = "$installed" ] ||
    { echo "test-host: $src has Asterisk $version, and $prefix has $installed. Name the tree that it was built in, or: make -C $src install" >&2; exit 1; }

folder=build/hosts/$version
mkdir -p "$folder/test"
if ! diff -rq "$new" "$folder/headers" >/dev/null 2>&1; then
    rm -rf "$folder/headers"
    mv "$new" "$folder/headers"
fi
rm -rf "$new"
export CIPHERTRUNK_HEADERS="$here/$folder/headers"
export CIPHERTRUNK_BUILD="$folder" ASTERISK_PREFIX="$prefix"
made=${CARGO_TARGET_DIR:-target}/release/libres_ciphertrunk.so
${CARGO:-cargo} build --quiet --release -p res_ciphertrunk --features test-hooks
install -m 0644 "$made" "$folder/test/res_ciphertrunk.so"
${CARGO:-cargo} build --quiet --release -p res_ciphertrunk
install -m 0644 "$made" "$folder/res_ciphertrunk.so"

rm -f build/host/skipped
status=0
RUST_TEST_THREADS=${RUST_TEST_THREADS:-2} ${CARGO:-cargo} test --quiet --no-fail-fast --test host -- "$@" || status=$?
if [ -s build/host/skipped ]; then
    echo "Not run, because Asterisk $version in $prefix cannot have them:"
    sort -u build/host/skipped | sed 's/^/    /'
fi
exit $status
