#!/bin/sh
# Builds the module twice, in two folders, with two homes of cargo, and fails if the two differ in a byte.
#
#   reproducible.sh HEADERS      as asterisk-headers/fetch.sh lays them
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
headers=$(cd "$1" && pwd)
home=${CARGO_HOME:-$HOME/.cargo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CARGO_TARGET_DIR CIPHERTRUNK_HEADERS

build() {
    "$here/packaging/module-tree.sh" "$1"
    mkdir "$1/asterisk-headers"
    cp -R "$headers" "$1/asterisk-headers/fetched"
    (cd "$1" && "$here/packaging/cargo.sh" build --quiet --release -p res_ciphertrunk)
}
build "$work/one"
mkdir -p "$work/another folder/home"
ln -s "$home"/registry "$work/another folder/home/registry"
CARGO_HOME="$work/another folder/home" build "$work/another folder/with a long name"

one="$work/one/target/release/libres_ciphertrunk.so"
other="$work/another folder/with a long name/target/release/libres_ciphertrunk.so"
if ! cmp "$one" "$other"; then
    mkdir -p "$here/build/reproducible"
    cp "$one" "$here/build/reproducible/one.so"
    cp "$other" "$here/build/reproducible/other.so"
    echo "reproducible: the two differ; they are in build/reproducible" >&2
    exit 1
fi
echo "reproducible: $(sha256sum <"$one" | cut -c1-64), $(wc -c <"$one") bytes, twice"
