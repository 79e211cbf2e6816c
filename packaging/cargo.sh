#!/bin/sh
# cargo, for the current folder, with no trace of this machine in what it builds: the same source, headers, compiler and
# options give the same bytes in every folder and for every user. Takes cargo's arguments.
#
# REAL_CARGO= is another cargo; RUSTFLAGS and CFLAGS are kept.
set -eu

cargo=${REAL_CARGO:-cargo}
root=$(pwd -P)
target=${CARGO_TARGET_DIR:-$root/target}
crates=${CARGO_HOME:-$HOME/.cargo}/registry/src
sysroot=$(${RUSTC:-rustc} --print sysroot)

separator=$(printf '\037')
# An encoded list may hold folders with spaces in their names.
flags=${CARGO_ENCODED_RUSTFLAGS-$(printf %s "${RUSTFLAGS-}" | tr -s ' ' '\037')}
# As it is named and as it is: a compiler sees both where a folder is a link. The last one that fits counts.
remap() {
    for path in "$1" "$(readlink -m "$1")"; do
        flags="${flags:+$flags$separator}--remap-path-prefix=$path=$2"
    done
}
remap "$crates" /usr/src/crates
remap "$sysroot/lib/rustlib/src/rust" /usr/src/rust
remap "$root" /usr/src/ciphertrunk
remap "$target" /usr/src/ciphertrunk/target
export CARGO_ENCODED_RUSTFLAGS="$flags"
unset RUSTFLAGS

export CC_SHELL_ESCAPED_FLAGS=1
export CFLAGS="${CFLAGS-} '-ffile-prefix-map=$root=/usr/src/ciphertrunk' '-ffile-prefix-map=$target=/usr/src/ciphertrunk/target'"

# Not quoted: it may be a command with arguments.
# shellcheck disable=SC2086
exec $cargo "$@"
