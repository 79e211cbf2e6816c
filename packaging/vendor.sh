#!/bin/sh
# Puts into DIR what a package needs to build the module without a network, besides this repository:
#
#   DIR/crates/           the crates of Cargo.lock that the module is made from (cargo vendor), by their checksums
#   DIR/Cargo.lock        Cargo.lock without the tests' crates
#   DIR/config.toml       what tells cargo to take them from there (paths from where packaging/build-module.sh runs it)
#   DIR/ciphertrunk.spdx.json   what the module is made from: SPDX 2.3
#
#   vendor.sh DIR
#
# Crates that only other systems use (windows-sys: 19 MB) are there by name and without contents: cargo wants each name
# of a lock file to be there, and reads no more of those.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
cargo=${CARGO:-cargo}
command -v jq >/dev/null || { echo "vendor.sh: jq is not there: apt-get install jq" >&2; exit 1; }

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
"$here/packaging/module-tree.sh" "$tree"
cd "$tree"
rm -rf "$out/crates"
"$cargo" vendor --quiet "$out/crates" >/dev/null
# No crate may change its version on the way: what is built is what was tested.
lines() { sed -n '/^name = /{N;s/^name = "\(.*\)"\nversion = "\(.*\)"/\1 \2/p}' "$1" | sort; }
lines "$here/Cargo.lock" >was
lines Cargo.lock >is
changed=$(comm -13 was is | tr '\n' ';')
[ -z "$changed" ] || { echo "vendor.sh: Cargo.lock is not up to date: it lacks $changed" >&2; exit 1; }

used_crates() {
    for machine in x86_64 aarch64; do
        "$cargo" tree --locked --package res_ciphertrunk --package ciphertrunk-check --edges normal,build --prefix none --format '{p}' --target "$machine-unknown-linux-gnu"
    done | sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1 \2/p' | sort -u
}
used_crates >used
for crate in "$out"/crates/*/; do
    name_version=$(sed -n '/^\[package\]/,/^\[[^p]/{s/^name = "\(.*\)"/\1/p;s/^version = "\(.*\)"/\1/p}' "$crate/Cargo.toml" | paste -sd ' ')
    grep -qxF "$name_version" used && continue
    sum=$(sed -n 's/.*"package":"\([0-9a-f]*\)".*/\1/p' "$crate/.cargo-checksum.json")
    find "$crate" -mindepth 1 -maxdepth 1 ! -name Cargo.toml -exec rm -rf {} +
    mkdir "$crate/src"
    : >"$crate/src/lib.rs"
    printf '{"files":{},"package":"%s"}' "$sum" >"$crate/.cargo-checksum.json"
done

# Not in a source package: dh_clean takes Cargo.toml.orig away (cargo reads Cargo.toml), and a test's DLL is no source. cargo
# must not miss them: it compares what is there with a list.
for crate in "$out"/crates/*/; do
    for file in $(cd "$crate" && find . -type f \( -name Cargo.toml.orig -o -name '*.dll' -o -name '*.lib' -o -name '*.exe' \) | sed 's|^\./||'); do
        rm "$crate/$file"
        jq --compact-output --arg file "$file" 'del(.files[$file])' "$crate/.cargo-checksum.json" >checksum.json
        cp checksum.json "$crate/.cargo-checksum.json"
    done
done

cp Cargo.lock "$out/Cargo.lock"
cat >"$out/config.toml" <<'END'
[source.crates-io]
replace-with = "vendored"

[source.vendored]
directory = "crates-io"
END
"$here/packaging/sbom.sh" "$tree" >"$out/ciphertrunk.spdx.json"
