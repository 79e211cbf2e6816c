#!/bin/sh
# Prints what the module is made from, as SPDX 2.3 in JSON: ours and every crate, each with its version, licence, origin and
# checksum, and what depends on what. TREE is what module-tree.sh made, or a folder that cargo builds the module in.
#
#   sbom.sh TREE
#
# The same tree gives the same bytes: the name is made from its Cargo.lock, and the time is SOURCE_DATE_EPOCH.
set -eu

cargo_sbom=${CARGO_SBOM:-$(cd "$(dirname "$0")/.." && pwd)/build/tools/bin/cargo-sbom}
[ -x "$cargo_sbom" ] || { echo "sbom.sh: $cargo_sbom is not there: make sbom installs it" >&2; exit 1; }
lock=$(sha256sum <"$1/Cargo.lock" | cut -c1-32)
at=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%dT%H:%M:%SZ)
"$cargo_sbom" --output-format spdx_json_2_3 --project-directory "$1" |
    sed -E "s|(\"created\": *\")[^\"]*|\1$at|; s|(\"documentNamespace\": *\")[^\"]*|\1https://spdx.org/spdxdocs/ciphertrunk-$lock|"
