#!/bin/sh
# Makes the Debian source package and, in a clean root without a network, the binary packages from it; then lintian.
#
#   deb.sh HEADERS      as asterisk-headers/fetch.sh takes them from Debian (asterisk/, pjproject/, MANIFEST)
#
# All in build/deb. The source package is of HEAD, with what is changed and tracked; its parts:
#
#   ciphertrunk_VERSION.orig.tar.xz             this repository
#   ciphertrunk_VERSION.orig-vendor.tar.xz      the crates that the module is made from, and its SBOM
#   ciphertrunk_VERSION.orig-pjproject.tar.xz   headers of the pjproject in Debian's asterisk, which Debian does not package
#
# ROOT_MIRROR= names another Debian mirror than mmdebstrap's default.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
headers=$(cd "$1" && pwd)
out=$here/build/deb
root=$here/build/deb-root
cd "$here"

fail() {
    echo "make deb: $*" >&2
    exit 1
}
grep -q '^Debian asterisk ' "$headers/MANIFEST" || fail "the headers in $headers are of a source tree; a package for Debian wants Debian's: make headers without ASTERISK_SRC="
git rev-parse --git-dir >/dev/null 2>&1 || fail "it packs what git has: run it in a clone"
[ "$(id -u)" -eq 0 ] || fail "the clean root to build in needs root. Run once: sudo make deb"

full=$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog)
version=${full%-*}
cargo_version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[ "$version" = "$cargo_version" ] || fail "debian/changelog has version $version, and Cargo.toml $cargo_version"

# --- The source package -----------------------------------------------------------------------------------------------

rm -rf "$out"
mkdir -p "$out/ciphertrunk-$version"
tree=$out/ciphertrunk-$version
commit=$(git stash create)
commit=${commit:-HEAD}
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct HEAD)
export SOURCE_DATE_EPOCH
git archive "$commit" | tar -x -C "$tree"
mv "$tree/debian" "$out/debian"

pack() { # NAME FOLDER PART
    tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw,a-s -C "$2" -c "$3" |
        xz -T0 >"$out/ciphertrunk_$version.$1.tar.xz"
}
pack orig "$out" "ciphertrunk-$version"
packaging/vendor.sh "$tree/vendor"
pack orig-vendor "$tree" vendor
mkdir -p "$tree/pjproject"
cp -R "$headers/pjproject" "$tree/pjproject/include"
cp "$headers/MANIFEST" "$headers/DEFINES" "$tree/pjproject/"
pack orig-pjproject "$tree" pjproject

mv "$out/debian" "$tree/debian"
packaging/copyright.sh "$tree/vendor" >"$tree/debian/copyright"
rm "$tree/debian/copyright.in"
(cd "$out" && dpkg-source -b "ciphertrunk-$version")
rm -rf "$tree"

# --- The clean root ---------------------------------------------------------------------------------------------------

recipe=$(sed -n '/^Build-Depends:/,/^[^ ]/p' debian/control | cat - "$0" | sha256sum | cut -c1-64)
if [ "$(cat "$root/.recipe" 2>/dev/null)" != "$recipe" ]; then
    echo "make deb: making $root (a few minutes)"
    rm -rf "$root" "$root.new"
    needed=$(sed -n '/^Build-Depends:/,/^[^ ]/s/^ \([a-z0-9.+-]*\).*/\1/p' debian/control | sed 's/^debhelper-compat$/debhelper/; /^dh-sequence-asterisk$/d' | sort -u | paste -sd ,)
    mmdebstrap --quiet --variant=minbase --components=main --aptopt='Acquire::Check-Valid-Until "false"' \
        --include="build-essential,fakeroot,lintian,$needed" forky "$root.new" ${ROOT_MIRROR:+"$ROOT_MIRROR"}
    echo "$recipe" >"$root.new/.recipe"
    mv "$root.new" "$root"
fi

# --- The binary packages, built as a user who may do nothing, where there is no network ---------------------------------

rm -rf "$root/build"
mkdir -p "$root/build"
cp "$out"/ciphertrunk_* "$root/build/"
chown -R 65534:65534 "$root/build"
# The quotes are for the shell in there.
# shellcheck disable=SC2016
unshare --mount --net --pid --fork --ipc sh -eu -c '
    mount -t proc proc "$1/proc"
    exec chroot --userspec=65534:65534 --groups= "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/build LC_ALL=C.UTF-8 \
        DEB_BUILD_OPTIONS="parallel=$(nproc) ${2-}" sh -eu -c "
            cd /build
            dpkg-source -x ciphertrunk_*.dsc source
            cd source
            dpkg-buildpackage --unsigned-source --unsigned-changes
            cd ..
            lintian --version
            lintian --info --display-info --pedantic --fail-on error,warning ciphertrunk_*.changes
        "
' sh "$root" "${DEB_BUILD_OPTIONS-}"
find "$root/build" -maxdepth 1 -type f -exec cp {} "$out/" \;
rm -rf "$root/build"
ls -l "$out"
