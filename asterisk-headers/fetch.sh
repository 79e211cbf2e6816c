#!/bin/sh
# Puts the headers of one Asterisk and its bundled pjproject into fetched/{asterisk,pjproject}, and what they
# were made from into fetched/MANIFEST. Two sources:
#
#   fetch.sh ROOT            the Asterisk installed in ROOT (a Debian root made by tests/root.sh): Asterisk's headers are
#                            its asterisk-dev; pjproject's come from Debian's source package of exactly that version.
#   fetch.sh ROOT SRC        a built Asterisk source tree (ASTERISK_SRC=): both are in it.
#
# pjproject's headers are not packaged: what Asterisk compiled them with is its patches, its config_site.h and the
# options of third-party/pjproject/Makefile.rules, so the same are applied here, and only `aconfigure` is run.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$1" && pwd) # apt reads a relative path below /etc/apt
src=${2:-}
out=$here/fetched

# Merges pjproject's five include folders: $1 is a configured pjproject tree.
merge_pjproject() {
    mkdir -p "$out.new/pjproject"
    for lib in pjlib pjlib-util pjsip pjmedia pjnath; do
        cp -R "$1/$lib/include/." "$out.new/pjproject/"
    done
}

finish() {
    rm -rf "$out"
    mv "$out.new" "$out"
    echo "asterisk-headers: $(head -n 1 "$out/MANIFEST")"
}

rm -rf "$out.new"
mkdir -p "$out.new/asterisk"

if [ -n "$src" ]; then
    [ -f "$src/include/asterisk/buildopts.h" ] ||
        { echo "asterisk-headers: $src is not a built Asterisk tree (no include/asterisk/buildopts.h)" >&2; exit 1; }
    [ -f "$src/third-party/pjproject/source/pjlib/include/pj/config.h" ] ||
        { echo "asterisk-headers: $src has no bundled pjproject (third-party/pjproject/source)" >&2; exit 1; }
    version=$(cat "$src/.version" 2>/dev/null || sed -n 's/.*asterisk_version\[\] = "\(.*\)";.*/\1/p' "$src/main/version.c")
    [ -n "$version" ] || { echo "asterisk-headers: $src does not tell its version (.version, main/version.c)" >&2; exit 1; }
    cp -R "$src/include/asterisk" "$src/include/asterisk.h" "$out.new/asterisk/"
    merge_pjproject "$src/third-party/pjproject/source"
    {
        echo "source tree $src"
        echo "version $version"
        (cd "$out.new" && find . -name buildopts.h -exec sha256sum {} +)
    } >"$out.new/MANIFEST"
    finish
    exit 0
fi

version=$(chroot "$root" dpkg-query -W -f '${source:Version}' asterisk)
if [ -f "$out/MANIFEST" ] && [ "$(head -n 1 "$out/MANIFEST")" = "Debian asterisk $version" ]; then
    rm -rf "$out.new"
    exit 0
fi

cp -R "$root/usr/include/asterisk" "$root/usr/include/asterisk.h" "$out.new/asterisk/"

work=$(mktemp -d)
trap 'rm -rf "$work" "$out.new"' EXIT

# The same signed index the root was made from, with an apt of its own: the machine's lists are not touched.
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"
sed -n 's/^deb /deb-src /p' "$root/etc/apt/sources.list" >"$work/sources.list"
cat >"$work/apt.conf" <<EOF
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/nonexistent";
Dir::State::Lists "$work/lists";
Dir::Cache "$work/cache";
Dir::Etc::TrustedParts "$root/etc/apt/trusted.gpg.d";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "root";
EOF
export APT_CONFIG="$work/apt.conf"
apt-get -qq update
(cd "$work/source" && apt-get -qq source --download-only "asterisk=$version") ||
    { echo "asterisk-headers: the source of asterisk $version is not in the archive any more; make a new root" >&2; exit 1; }

tarball() { ls "$work"/source/*"$1"; }
mkdir "$work/asterisk" "$work/pj"
tar -xf "$(tarball .orig.tar.xz)" -C "$work/asterisk" --strip-components=1 --wildcards '*/third-party/pjproject'
tar -xf "$(tarball .orig-Xpjproject.tar.xz)" -C "$work/pj" --strip-components=1
third=$work/asterisk/third-party/pjproject
(
    cd "$work/pj"
    for patch in "$third"/patches/00*.patch; do
        patch -s -p1 <"$patch"
    done
    cp "$third/patches/config_site.h" "$third/patches/asterisk_malloc_debug.h" pjlib/include/pj/
    # The options, as Asterisk gives them to configure.
    options=$(sed -n '/^PJPROJECT_CONFIG_OPTS/,/[^\\]$/p' "$third/Makefile.rules" | grep -o -e '--dis[a-z0-9-]*' -e '--without[a-z0-9-]*')
    # shellcheck disable=SC2086
    ./aconfigure $options --disable-resample --disable-g711-codec --enable-epoll >aconfigure.log 2>&1 ||
        { tail -n 20 aconfigure.log >&2; exit 1; }
)
merge_pjproject "$work/pj"
{
    echo "Debian asterisk $version"
    echo "version $(chroot "$root" asterisk -V | sed 's/^Asterisk //')"
    (cd "$work/source" && sha256sum ./*.dsc ./*.tar.xz)
} >"$out.new/MANIFEST"
finish
