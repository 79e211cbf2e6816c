#!/bin/sh
# Builds the module and ciphertrunk-check as packages do: without a network, from vendored crates and given headers.
#
#   build-module.sh WORK VENDOR HEADERS
#
# WORK is a folder to build in; VENDOR is what packaging/vendor.sh made; HEADERS are Asterisk's and pjproject's, laid as
# asterisk-headers/fetch.sh lays them (asterisk/, pjproject/, MANIFEST). The module is WORK/target/release/libres_ciphertrunk.so, and the program is beside it.
# With `cargo auditable` at hand the module names its crates (section .dep-v0).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
vendor=$(cd "$2" && pwd)
headers=$(cd "$3" && pwd)
"$here/module-tree.sh" "$1"
cd "$1"
cp "$vendor/Cargo.lock" .
mkdir .cargo asterisk-headers
cp "$vendor/config.toml" .cargo/config.toml
# In the tree, so that no path outside it is compiled in.
ln -s "$vendor/crates" crates-io
cp -RL "$headers" asterisk-headers/fetched

export CARGO_HOME="$PWD/.cargo-home"
unset CARGO_TARGET_DIR CIPHERTRUNK_HEADERS
auditable=
! command -v cargo-auditable >/dev/null || auditable=auditable
# One after the other: together, each would get the features of crates that the other wants.
for package in res_ciphertrunk ciphertrunk-check; do
    # shellcheck disable=SC2086
    "$here/cargo.sh" $auditable build --frozen --release -p "$package"
done
