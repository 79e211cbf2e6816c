#!/bin/sh
# Copies what the module alone is made from into DIR: no tests, benches or fuzz targets, and manifests that do not name
# them. A package is built from that: with it cargo asks for no crate that only a test uses (libsrtp, say).
#
#   module-tree.sh DIR
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
out=$1

rm -rf "$out"
mkdir -p "$out/crates"
cd "$here"
for entry in *; do
    case $entry in
        asterisk-headers | benches | build | crates | debian | fuzz | packaging | pjproject | target | tests | vendor) ;;
        *) cp -R "$entry" "$out/" ;;
    esac
done

# Without the sections of tests, and without the members that only tests have.
manifest() {
    awk '
        /^\[/ { skip = /^\[\[(test|bench|example)\]\]/ || /dev-dependencies/ }
        !skip { sub(/, "tests\/support"/, ""); print }
    ' "$1" >"$2"
}

manifest Cargo.toml "$out/Cargo.toml"
for crate in crates/*; do
    cp -R "$crate" "$out/crates/"
    rm -rf "$out/$crate/tests" "$out/$crate/benches" "$out/$crate/examples"
    manifest "$crate/Cargo.toml" "$out/$crate/Cargo.toml"
done
