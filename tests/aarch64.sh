#!/bin/sh
# The tests of crates/packet-crypto and crates/srtp, built for aarch64 and run under qemu-user; and the module, built for aarch64
# and looked at: tests/aarch64-module.sh.
#
#   aarch64.sh root DIR      makes DIR alone
#   aarch64.sh test DIR      the tests and the module, of one profile, which is the quicker one to compile
#   aarch64.sh module DIR    the module as it is installed: DIR/target/aarch64-unknown-linux-gnu/release
#
# Headers are those in asterisk-headers/fetched: a Debian's Asterisk has the same on both, and pjproject's configuration differs in
# the machine's name alone, for both are little-endian with 64-bit pointers.
#
# DIR is a throw-away Debian root with a Rust toolchain for aarch64, made when it is not there: rustup's would have to
# come from its own servers, Debian's comes from the archive that everything else comes from. The sources and cargo's
# registry are mounted into it (in a namespace of this script's), what is built stays in it.
#
# ROOT_MIRROR= names another Debian mirror than mmdebstrap's default.
set -eu

task=$1 dir=$2
suite=forky
packages="rustc cargo libstd-rust-dev:arm64 gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev:arm64 qemu-user \
libclang-dev pkgconf libssl-dev:arm64"

recipe="$suite $packages"
wanted() { [ "$(cat "$dir/.recipe" 2>/dev/null)" = "$recipe" ]; }

if [ "$(id -u)" -ne 0 ]; then
    echo "aarch64.sh: making and entering a root needs root. Run: sudo $0 $task $dir" >&2
    exit 1
fi

mkdir -p "$(dirname "$dir")"
exec 9>"$dir.lock"
flock 9
if ! wanted; then
    new=$dir.new
    trap 'rm -rf "$new"' EXIT
    rm -rf "$new"
    echo "aarch64.sh: making $dir (some minutes, 2.5 GB)"
    # A snapshot of an archive may be older than its own Valid-Until.
    timeout --kill-after=30 900 mmdebstrap --quiet --variant=minbase --components=main --architectures=amd64,arm64 \
        --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' --aptopt='Acquire::http::Timeout "30"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --include="$(echo "$packages" | tr ' ' ',')" "$suite" "$new" ${ROOT_MIRROR:+"$ROOT_MIRROR"}
    mkdir -p "$new/src" "$new/cargo"
    echo "$recipe" >"$new/.recipe"
    rm -rf "$dir"
    mv "$new" "$dir"
    trap - EXIT
fi
[ "$task" != root ] || exit 0
echo "aarch64.sh: $(chroot "$dir" rustc --version), $(chroot "$dir" qemu-aarch64 --version | head -n 1)"

# Fetched out here, where the machine's own settings for the registry are.
${CARGO:-cargo} fetch --quiet --locked

# What the root builds is for aarch64 and by another compiler: it stays out of target/. libsrtp, which the differential
# tests compare with, would be one more library for aarch64 to bring: `without_libsrtp` leaves out those tests, and
# cargo prints that it ran none of them.
run='
    cd /src
    export CARGO_HOME=/cargo CARGO_TARGET_DIR=/target CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never
    export CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64
    export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0
    # Where libssl-dev:arm64 puts its headers and libraries.
    export OPENSSL_INCLUDE_DIR=/usr/include OPENSSL_LIB_DIR=/usr/lib/aarch64-linux-gnu
    if [ "$1" = module ]; then
        cargo build --quiet --locked --release -p res_ciphertrunk
        exec tests/aarch64-module.sh /target/aarch64-unknown-linux-gnu/release/libres_ciphertrunk.so
    fi
    # The module with that flag too, which is none of its own: what both depend on is compiled once.
    export RUSTFLAGS="--cfg without_libsrtp"
    cargo build --quiet --locked -p res_ciphertrunk
    tests/aarch64-module.sh /target/aarch64-unknown-linux-gnu/debug/libres_ciphertrunk.so
    exec cargo test --locked --no-fail-fast -p packet-crypto -p srtp --features packet-crypto/batch,srtp/batch
'
exec unshare --mount --propagation private sh -euc '
    mount --bind "$1" "$2/src"
    mount -o remount,bind,ro "$2/src"
    mount --bind "$3" "$2/cargo"
    mount -t proc proc "$2/proc"
    mount --rbind /dev "$2/dev"
    exec chroot "$2" /bin/sh -euc "$4" sh "$5"
' sh "$PWD" "$dir" "${CARGO_HOME:-$HOME/.cargo}" "$run" "$task"
