#!/bin/sh
# Prints debian/copyright: debian/copyright.in, and a paragraph for each vendored crate as its own files and manifest
# say it.
#
#   copyright.sh VENDOR
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
cat "$here/debian/copyright.in"
for crate in "$1"/crates/*/; do
    name=$(basename "$crate")
    expression=$(sed -n 's/^license = "\(.*\)"/\1/p' "$crate/Cargo.toml")
    # Of alternatives the one that goes with the GPL version 2; each has its text in copyright.in.
    case $expression in
        "(MIT OR Apache-2.0) AND Unicode-3.0") license="Expat and Unicode-3.0" ;;
        *MIT*) license=Expat ;;
        BSD-3-Clause | Apache-2.0 | ISC | Zlib) license=$expression ;;
        *)
            echo "copyright.sh: $name has the licence '$expression', which debian/copyright.in does not have" >&2
            exit 1
            ;;
    esac
    license=$(echo "$license" | sed 's/BSD-3-Clause/BSD-3-clause/')
    holders=$(find "$crate" -maxdepth 1 -type f \( -iname 'LICENSE*' -o -iname 'COPYING*' \) -exec grep -hiE '^[[:space:]]*(copyright|\(c\) copyright)[[:space:]]*(\(c\)|©|[0-9]{4})' {} + |
        grep -v '\[yyyy\]' | sed -E 's/^[[:space:]]*(\(c\) )?copyright[[:space:]]*(\(c\)|©)?[[:space:]]*//I; s/All rights reserved\.?//I; s/[[:space:].,]*$//' | sort -u)
    if [ -z "$holders" ]; then
        holders=$(awk '/^authors = \[/ { on = 1 } on { print } on && /\]/ { exit }' "$crate/Cargo.toml" | grep -o '"[^"]*"' | tr -d '"')
        [ -n "$holders" ] || holders="the authors of the crate $name"
    fi
    printf '\nFiles: vendor/crates/%s/*\nCopyright:\n%s\nLicense: %s\nComment: The crate says: %s.\n' \
        "$name" "$(printf '%s\n' "$holders" | sed 's/^/ /')" "$license" "$expression"
done
