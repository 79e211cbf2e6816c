#!/bin/sh
# Sees that this machine has what a target of the Makefile needs, and says nothing when it has.
#
#   prereqs.sh build              the module, from an Asterisk's source tree: compilers, libclang, OpenSSL's headers
#   prereqs.sh packages NAME...   the same and these Debian packages, for the throw-away roots and the tests
#
# Where there is apt, root gets what is missing installed, and others are told the command. Elsewhere it is named, with the
# packages of dnf and zypper.
set -eu

mode=$1
shift

has() { command -v "$1" >/dev/null 2>&1; }

# Cargo is not the distribution's business: the project needs a newer one than most have.
wanted=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
has "${CARGO:-cargo}" ||
    { echo "prereqs: cargo was not found. Install Rust $wanted or later: https://rustup.rs" >&2; exit 1; }

if has apt-get && has dpkg-query; then
    missing=
    for package in gcc libc6-dev make pkg-config clang libclang-dev libssl-dev "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
    done
    [ -z "$missing" ] && exit 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "prereqs: run once: sudo apt-get install$missing" >&2
        exit 1
    fi
    apt-get -qq update
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $missing
    exit 0
fi

[ "$mode" = build ] || {
    echo "prereqs: the throw-away roots of the demo and the tests are Debian's, made with apt and mmdebstrap, which this machine has not. The module for this machine's own Asterisk needs neither: make module ASTERISK_SRC=/usr/src/asterisk-..." >&2
    exit 1
}

# Looks where bindgen does: LIBCLANG_PATH, the linker's cache, the usual folders.
has_libclang() {
    for folder in ${LIBCLANG_PATH:-} /usr/lib64 /usr/lib /usr/lib64/llvm*/lib* /usr/lib/llvm*/lib /usr/local/lib; do
        ls "$folder"/libclang.so* "$folder"/libclang-*.so* >/dev/null 2>&1 && return 0
    done
    ldconfig -p 2>/dev/null | grep -q 'libclang[.-]'
}

missing= dnf= zypper=
need() { # what it is, dnf's package, zypper's package
    missing="$missing${missing:+, }$1" dnf="$dnf $2" zypper="$zypper $3"
}
has_header() {
    if has cc; then
        printf '#include <%s>\n' "$1" | cc -E - >/dev/null 2>&1
    else
        [ -f "/usr/include/$1" ]
    fi
}
has cc || need "a C compiler (cc)" gcc gcc
has_header stdlib.h || need "the C library's headers" glibc-devel glibc-devel
has_libclang || need "libclang" clang-devel clang-devel
has_header openssl/ssl.h || pkg-config --exists openssl 2>/dev/null ||
    need "OpenSSL's headers" openssl-devel libopenssl-devel
[ -z "$missing" ] && exit 0
advice="install them"
has zypper && advice="zypper install$zypper"
has dnf && advice="dnf install$dnf"
echo "prereqs: this machine lacks $missing. Run once as root: $advice" >&2
exit 1
