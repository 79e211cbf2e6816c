#!/bin/sh
# Runs the host tests in an Asterisk that you built and installed, with the module built for it; the peers are those of the
# throw-away root (make root). It changes nothing of that Asterisk, which may run meanwhile.
#
#   on-host.sh SRC PREFIX [TEST...]       SRC is the source tree in which it was built, PREFIX where it is installed (configure's
#                                         --prefix; /usr, /usr/local)
#   on-host.sh --root ROOT [TEST...]      another throw-away root, with its own compilers (make root ASTERISK=16)
#
# PJSIP=no: the module without its half for PJSIP. TEST_BUILD=: cargo's options for the tests of `make test`.
set -eu

[ $# -ge 2 ] && [ -n "$1" ] && [ -n "$2" ] ||
    { echo "usage: make test-host ASTERISK=16 | ASTERISK_SRC=/usr/src/asterisk-... ASTERISK_PREFIX=/usr, [TESTS=name]" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
kind=$1 place=$(cd "$2" && pwd)
cd "$here"
new=build/hosts/new
mkdir -p build/hosts
if [ "$kind" = --root ]; then
    asterisk-headers/fetch.sh --root "$place" "$here/$new"
    version=$(sed -n 's/^version //p' "$new/MANIFEST")
    export ASTERISK_ROOT="$place"
else
    src=$(cd "$kind" && pwd)
    [ -x "$place/sbin/asterisk" ] ||
        { echo "test-host: there is no $place/sbin/asterisk. Install it: make -C $src install; or name the --prefix it has" >&2; exit 1; }
    asterisk-headers/fetch.sh --tree "$src" "$here/$new"
    version=$(sed -n 's/^version //p' "$new/MANIFEST")
    installed=$(env LD_LIBRARY_PATH="$place/lib:$place/lib64" "$place/sbin/asterisk" -V | sed 's/^Asterisk //')
    [ "$version" = "$installed" ] ||
        { echo "test-host: $src has Asterisk $version, and $place has $installed. Name the tree that it was built in, or: make -C $src install" >&2; exit 1; }
    export ASTERISK_PREFIX="$place"
fi
shift 2

folder=build/hosts/$version
mkdir -p "$folder/test"
if ! diff -rq "$new" "$folder/headers" >/dev/null 2>&1; then
    rm -rf "$folder/headers"
    mv "$new" "$folder/headers"
fi
rm -rf "$new"
export CIPHERTRUNK_HEADERS="$here/$folder/headers" CIPHERTRUNK_BUILD="$folder"

# Builds the module with the cargo options $2..., into $1.
build() {
    into=$1
    shift
    [ "${PJSIP:-yes}" = yes ] || set -- --no-default-features "$@"
    if [ "$kind" = --root ]; then
        tests/in-root.sh "$place" sh -ec 'folder=$1; shift
            cd /media/src
            export CARGO_TARGET_DIR=/media/src/$folder/target CIPHERTRUNK_HEADERS=/media/src/$folder/headers
            exec cargo build --quiet --release -p res_ciphertrunk "$@"' build "$folder" "$@"
        made=$folder/target/release/libres_ciphertrunk.so
    else
        ${CARGO:-cargo} build --quiet --release -p res_ciphertrunk "$@"
        made=${CARGO_TARGET_DIR:-target}/release/libres_ciphertrunk.so
    fi
    install -m 0644 "$made" "$into/res_ciphertrunk.so"
}
build "$folder/test" --features test-hooks
build "$folder"

# The tests are the same for every Asterisk, and get what they are told of this one when they run. Beside the root of `make test` they
# are built as for that, with its headers (build.rs asks for some), so that nothing is compiled twice.
tests=
[ "${PJSIP:-yes}" = yes ] || tests=--no-default-features
runner="['env', 'CIPHERTRUNK_HEADERS=$CIPHERTRUNK_HEADERS']"
if [ "$kind" = --root ]; then
    tests=${TEST_BUILD:---workspace}
    unset CIPHERTRUNK_HEADERS
fi
rm -f "$folder/host/skipped"
said=$folder/said
echo 0 >"$folder/status"
# shellcheck disable=SC2086
{
    RUST_TEST_THREADS=${RUST_TEST_THREADS:-2} ${CARGO:-cargo} --config "target.'cfg(all())'.runner = $runner" \
        test --quiet $tests --no-fail-fast --test host -- "$@" 2>&1 ||
        echo $? >"$folder/status"
} | tee "$said"

# A test that this Asterisk cannot have returns at once, and cargo counts it as passed. One of which a part was run is named with
# that part in parentheses, and has passed.
skipped=0
if [ -s "$folder/host/skipped" ]; then
    echo "Not run, because Asterisk $version in $place cannot have them:"
    sort -u "$folder/host/skipped" | sed 's/^/    /'
    skipped=$(sort -u "$folder/host/skipped" | grep -vc ' (' || true)
fi
counts=$(sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed.*/\1 \2/p' "$said")
[ -z "$counts" ] || echo "test-host: Asterisk $version: $((${counts% *} - skipped)) passed, ${counts#* } failed, $skipped skipped"
exit "$(cat "$folder/status")"
