#!/bin/sh
# Prints what the module and ciphertrunk-check are made from, as SPDX 2.3 in JSON: ours and every crate that is linked in, each with its version,
# licence and origin, its archive's checksum, and what depends on what. TREE is what module-tree.sh made, or a folder that cargo builds the module in.
#
#   sbom.sh TREE
#
# The same tree gives the same bytes: sorted, named after its Cargo.lock, and at SOURCE_DATE_EPOCH.
set -eu

cargo_sbom=${CARGO_SBOM:-$(cd "$(dirname "$0")/.." && pwd)/build/tools/bin/cargo-sbom}
[ -x "$cargo_sbom" ] || { echo "sbom.sh: $cargo_sbom is not there: make sbom installs it" >&2; exit 1; }
command -v jq >/dev/null || { echo "sbom.sh: jq is not there: apt-get install jq" >&2; exit 1; }
lock=$(sha256sum <"$1/Cargo.lock" | cut -c1-32)
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' "$1/Cargo.toml")
at=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}" +%Y-%m-%dT%H:%M:%SZ)

# "name version" of what is used on the systems that the module is for, and the checksums of the crates' archives.
used=$(cd "$1" && for machine in x86_64 aarch64; do
    ${CARGO:-cargo} tree --package res_ciphertrunk --package ciphertrunk-check --edges normal --prefix none --format '{p}' --target "$machine-unknown-linux-gnu"
done | sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1 \2/p' | sort -u | jq --raw-input --slurp 'split("\n")')
sums=$(awk -F '"' '/^name =/ { n = $2 } /^version =/ { v = $2 } /^checksum =/ { print n " " v " " $2 }' "$1/Cargo.lock" |
    jq --raw-input --slurp 'split("\n") | map(select(. != "") | split(" ") | { key: (.[0] + " " + .[1]), value: .[2] }) | from_entries')

"$cargo_sbom" --output-format spdx_json_2_3 --project-directory "$1" |
    jq --sort-keys --arg at "$at" --arg name "ciphertrunk-$version" --argjson used "$used" --argjson sums "$sums" \
        --arg space "https://spdx.org/spdxdocs/ciphertrunk-$version-$lock" '
        .creationInfo.created = $at | .name = $name | .documentNamespace = $space
        # Crates that only other systems use are in the lock file and not in the module.
        | .packages |= map(select((.name + " " + .versionInfo) as $id | $used | index($id)))
        | ([.packages[].SPDXID] + [.files[]?.SPDXID]) as $known
        | .relationships |= map(select((.spdxElementId as $i | $known | index($i)) and (.relatedSpdxElement as $i | $known | index($i))))
        | .packages |= map(($sums[.name + " " + .versionInfo]) as $sum
            | if $sum then .downloadLocation = "https://crates.io/api/v1/crates/\(.name)/\(.versionInfo)/download"
                | .checksums = [{ algorithm: "SHA256", checksumValue: $sum }]
              else .downloadLocation = "NOASSERTION" end)
        | .relationships += [.packages[] | select(.name == "res_ciphertrunk" or .name == "ciphertrunk-check")
            | { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: .SPDXID }]
        | .packages |= sort_by(.SPDXID) | .files |= sort_by(.SPDXID) | .relationships |= sort_by(tostring)'
