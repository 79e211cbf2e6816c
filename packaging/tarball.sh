#!/bin/sh
# Makes build/ciphertrunk-VERSION-asterisk-BRANCH-MACHINE.tar.gz: the module, its configuration, documents and the
# script that installs it, for other machines with the Asterisk that the headers are of.
#
#   tarball.sh MODULE HEADERS
set -eu

module=$1
headers=$2
cd "$(dirname "$0")/.."
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
asterisk=$(sed -n 's/^version //p' "$headers/MANIFEST" | sed 's/+.*//')
name=ciphertrunk-$version-asterisk-$asterisk-$(uname -m)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/$name
mkdir -p "$tree/docs"
# The symbols of what is called from outside stay; those for a debugger go into a file beside the archive.
objcopy --only-keep-debug --compress-debug-sections=zlib "$module" "build/$name.debug"
(cd build && objcopy --strip-debug --strip-unneeded --add-gnu-debuglink="$name.debug" "../$module" "$tree/res_ciphertrunk.so")
cp build/ciphertrunk-check docs/man/ciphertrunk-check.1 packaging/install.sh docs/xml/res_ciphertrunk-en_US.xml conf/ciphertrunk.conf.sample README.md CHANGELOG.md LICENSE "$tree/"
cp docs/*.md docs/*.yml docs/grafana/*.json conf/modules.conf.sample conf/asterisk.service.d/*.conf conf/apparmor.d/* conf/fail2ban/* conf/crowdsec/* "$tree/docs/"
install -D -m 0644 -t "$tree/docs/pictures" docs/pictures/*.svg docs/pictures/*.png docs/pictures/*.txt
packaging/built.sh "$headers" >"$tree/BUILT"
packaging/sbom.sh . >"$tree/ciphertrunk.spdx.json"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct HEAD 2>/dev/null || date +%s)}
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw -C "$work" -c "$name" |
    gzip -9n >"build/$name.tar.gz"
echo "build/$name.tar.gz"
