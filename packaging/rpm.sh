#!/bin/sh
# Makes build/rpm/*.rpm for an Asterisk that was built from source, and asks rpmlint.
#
#   [PREFIX=/usr] [MODDIR=PREFIX/lib64/asterisk/modules] rpm.sh HEADERS
#
# HEADERS are that Asterisk's, as asterisk-headers/fetch.sh lays them. On Debian rpmbuild is there too (apt-get install rpm
# rpmlint debugedit), but knows no package of Debian's: what is needed to build is not asked of rpm there.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
headers=$(cd "$1" && pwd)
prefix=${PREFIX:-/usr}
moddir=${MODDIR:-$prefix/lib64/asterisk/modules}
confdir=$([ "$prefix" = /usr ] && echo /etc/asterisk || echo "$prefix/etc/asterisk")
datadir=$([ "$prefix" = /usr ] && echo /var/lib/asterisk || echo "$prefix/var/lib/asterisk")
out=$here/build/rpm
cd "$here"

fail() {
    echo "make rpm: $*" >&2
    exit 1
}
for program in rpmbuild rpmlint; do
    command -v "$program" >/dev/null || fail "$program is not there: apt-get install rpm rpmlint debugedit, or dnf install rpm-build rpmlint"
done
git rev-parse --git-dir >/dev/null 2>&1 || fail "it packs what git has: run it in a clone"

version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
asterisk=$(sed -n 's/^version //p' "$headers/MANIFEST")
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct HEAD)
export SOURCE_DATE_EPOCH

rm -rf "$out"
mkdir -p "$out/SOURCES"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
commit=$(git stash create)
git archive --prefix="ciphertrunk-$version/" "${commit:-HEAD}" | xz -T0 >"$out/SOURCES/ciphertrunk-$version.tar.xz"
packaging/vendor.sh "$work/vendor"
cp -RL "$headers" "$work/headers"
for part in vendor headers; do
    tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$work" -c "$part" |
        xz -T0 >"$out/SOURCES/ciphertrunk-$version-$part.tar.xz"
done

nodeps=$(rpm -q rpm >/dev/null 2>&1 || echo --nodeps)
# shellcheck disable=SC2086
rpmbuild --quiet $nodeps -ba --define "_topdir $out" --define "ct_version $version" --define "ct_asterisk $asterisk" \
    --define "ct_branch $(echo "$asterisk" | cut -d. -f1)" --define "ct_minor $(echo "$asterisk" | cut -d. -f2 | sed 's/[^0-9].*//')" \
    --define "ct_sum $(packaging/built.sh "$headers" | sed -n 's/^buildopts //p')" \
    --define "ct_prefix $prefix" --define "ct_moddir $moddir" --define "ct_confdir $confdir" --define "ct_datadir $datadir" \
    --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
    packaging/rpm/asterisk-ciphertrunk.spec
find "$out" -name '*.rpm' -exec mv {} "$out/" \;
rpmlint --config packaging/rpm/rpmlint.toml "$out"/*.rpm
ls -l "$out"/*.rpm
