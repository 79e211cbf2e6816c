#!/bin/sh
# Makes a set of headers, of one Asterisk and the pjproject that it was compiled with: OUT/asterisk, OUT/pjproject, what
# pjproject is to be compiled with in OUT/DEFINES, and what all of it was made from in OUT/MANIFEST.
#
#   fetch.sh --root ROOT [OUT]   of the Asterisk in ROOT (a Debian root made by tests/root.sh): Asterisk's headers are its
#                                asterisk-dev; pjproject's come from Debian's source package of exactly that version.
#   fetch.sh --tree SRC [OUT]    of the Asterisk that was built in the source tree SRC (ASTERISK_SRC=): both are in it, but for a
#                                pjproject of the system's, which is where the tree's makeopts says. Nothing else is needed.
#
# OUT is fetched/, beside this file, if it is not given. PJSIP=no in the environment: Asterisk's headers alone, for the SRTP half without
# SIP over TLS (an Asterisk without pjproject, or one whose pjproject's headers cannot be had: Debian bullseye's).
#
# pjproject's headers are not packaged: what Debian's Asterisk compiled them with is its patches, its config_site.h and the
# options of third-party/pjproject/Makefile.rules, so the same are applied here, and only `aconfigure` is run.
set -eu

usage() {
    echo "usage: $0 --root ROOT [OUT] | --tree SRC [OUT]" >&2
    exit 2
}
[ $# -eq 2 ] || [ $# -eq 3 ] || usage
here=$(cd "$(dirname "$0")" && pwd)
pjsip=${PJSIP:-yes}
out=${3:-$here/fetched}
work=

# One line: what was found, what is needed, the command.
refuse() {
    echo "asterisk-headers: $*" >&2
    exit 1
}

# One at a time: what two make at once each takes for its own.
mkdir -p "$(dirname "$out")"
exec 9>"$out.lock"
flock 9
trap 'rm -rf "$out.new" ${work:+"$work"}' EXIT

begin() {
    rm -rf "$out.new"
    mkdir -p "$out.new/asterisk"
}

# What the module includes is there, and what that includes: in the set, or on this machine. $1 is where the set is from.
whole() {
    flags=
    [ "$pjsip" = no ] || flags="-DCT_PJSIP $(sed 's/^/-D/' "$out.new/DEFINES")"
    # shellcheck disable=SC2086
    missing=$(LC_ALL=C ${CC:-cc} -E $flags -D_GNU_SOURCE -DAST_MODULE_SELF_SYM=self -I"$here/../include" \
        -isystem "$out.new/asterisk" -isystem "$out.new/pjproject" -xc "$here/../include/wrapper.h" 2>&1 >/dev/null |
        sed -n "s/.*fatal error: '*\([^:']*\).*\(No such file\|not found\).*/\1/p" | head -n 1)
    [ -z "$missing" ] ||
        refuse "the header $missing is missing in $1, or on this machine. If it is Asterisk's or pjproject's, build the tree whole: make -C $1; if it is OpenSSL's or the C library's, install that development package"
}

# The same set as before stays, so that nothing is compiled again.
finish() { # what it was made from
    whole "$1"
    if ! diff -rq "$out" "$out.new" >/dev/null 2>&1; then
        rm -rf "$out"
        mv "$out.new" "$out"
    fi
    echo "asterisk-headers: $(head -n 1 "$out/MANIFEST")"
}

# Merges pjproject's five include folders: $1 is a configured pjproject tree.
merge_pjproject() {
    mkdir -p "$out.new/pjproject"
    for lib in pjlib pjlib-util pjsip pjmedia pjnath; do
        cp -R "$1/$lib/include/." "$out.new/pjproject/"
    done
}

# The words of $* that define something, one a line, without their -D.
defines() {
    for word in $*; do
        case $word in
        -D*) echo "${word#-D}" ;;
        esac
    done | sort -u
}

# The value that pjproject's headers in $out.new give to the macro $1.
pj_value() {
    flags=$(sed 's/^/-D/' "$out.new/DEFINES")
    # shellcheck disable=SC2086
    printf '#include <pj/config.h>\nvalue=%s\n' "$1" |
        ${CC:-cc} -E -P $flags -I"$out.new/pjproject" -xc - 2>/dev/null | sed -n 's/^value=//p'
}

from_tree() {
    [ -f "$1/include/asterisk.h" ] && [ -f "$1/main/loader.c" ] ||
        refuse "$1 is not an Asterisk source tree (no include/asterisk.h, no main/loader.c). Name the folder in which yours was built: make module ASTERISK_SRC=/usr/src/asterisk-..."
    src=$(cd "$1" && pwd)
    [ -f "$src/makeopts" ] ||
        refuse "$src was unpacked and not configured (no makeopts). Build it as your running Asterisk was built: cd $src && ./configure --with-pjproject-bundled && make"
    [ -f "$src/include/asterisk/buildopts.h" ] ||
        refuse "$src was configured and not built (no include/asterisk/buildopts.h). Build it: make -C $src"
    version=$(cat "$src/.version" 2>/dev/null || sed -n 's/.*asterisk_version\[\] = "\(.*\)";.*/\1/p' "$src/main/version.c" 2>/dev/null || true)
    [ -n "$version" ] ||
        refuse "$src does not tell its version (no .version, no main/version.c). Build it: make -C $src"

    begin
    cp -R "$src/include/asterisk" "$src/include/asterisk.h" "$out.new/asterisk/"
    if [ "$pjsip" = no ]; then
        {
            echo "source tree $src"
            echo "version $version"
            echo "pjproject none"
            (cd "$out.new" && find . -name buildopts.h -exec sha256sum {} +)
        } >"$out.new/MANIFEST"
        finish "$src"
        return
    fi
    option() { sed -n "s/^$1 *= *//p" "$src/makeopts"; }
    includes=$(option PJPROJECT_INCLUDE)
    defines "$includes" >"$out.new/DEFINES"
    if [ "$(option PJPROJECT_BUNDLED)" = yes ]; then
        pj=$src/third-party/pjproject/source
        [ -f "$pj/pjlib/include/pj/compat/os_auto.h" ] ||
            refuse "$src has lost its bundled pjproject ($pj is not configured; was it cleaned?). Build it again: make -C $src"
        merge_pjproject "$pj"
        kind="bundled"
    elif grep -q '^#define HAVE_PJPROJECT 1' "$src/include/asterisk/autoconfig.h"; then
        # A system's: its folders are the compiler's own, or named.
        folder=
        for candidate in $(for word in $includes; do case $word in -I*) echo "${word#-I}" ;; esac; done) /usr/include /usr/local/include; do
            [ -f "$candidate/pjsip.h" ] && folder=$candidate && break
        done
        [ -n "$folder" ] ||
            refuse "$src was built with the system's pjproject, and its headers are not on this machine any more (no pjsip.h). Install the pjproject development package again, of the same version"
        mkdir -p "$out.new/pjproject"
        cp -R "$folder"/pj* "$out.new/pjproject/"
        kind="of the system"
    else
        refuse "$src was built without pjproject (no PJSIP), so there is no SIP over TLS to serve. For the SRTP half alone: make module PJSIP=no ASTERISK_SRC=$src; for both: cd $src && ./configure --with-pjproject-bundled && make && make install"
    fi
    grep -q '^PJ_AUTOCONF' "$out.new/DEFINES" ||
        printf '%s\n' PJ_AUTOCONF=1 "$(printf '#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__\nPJ_IS_LITTLE_ENDIAN=1 PJ_IS_BIG_ENDIAN=0\n#else\nPJ_IS_LITTLE_ENDIAN=0 PJ_IS_BIG_ENDIAN=1\n#endif\n' | ${CC:-cc} -E -P - | tr ' ' '\n')" >>"$out.new/DEFINES"
    [ "$(pj_value PJ_HAS_SSL_SOCK)" = 1 ] ||
        refuse "the pjproject of $src ($kind) was compiled without TLS (PJ_HAS_SSL_SOCK is not 1): there is no TLS transport to take over. Install OpenSSL's development package, then: cd $src && ./configure --with-ssl --with-pjproject-bundled && make && make install"
    {
        echo "source tree $src"
        echo "version $version"
        echo "pjproject $kind $(pj_version)"
        (cd "$out.new" && find . -name buildopts.h -exec sha256sum {} +)
    } >"$out.new/MANIFEST"
    finish "$src"
}

# pjproject's version as its headers tell it.
pj_version() {
    printf '%s.%s.%s' "$(pj_value PJ_VERSION_NUM_MAJOR)" "$(pj_value PJ_VERSION_NUM_MINOR)" "$(pj_value PJ_VERSION_NUM_REV)"
}

from_root() {
    root=$(cd "$1" && pwd) # apt reads a relative path below /etc/apt
    version=$(chroot "$root" dpkg-query -W -f '${source:Version}' asterisk)
    if [ "$pjsip" = no ]; then
        begin
        cp -R "$root/usr/include/asterisk" "$root/usr/include/asterisk.h" "$out.new/asterisk/"
        {
            echo "Debian asterisk $version"
            echo "version $(chroot "$root" asterisk -V | sed 's/^Asterisk //')"
            echo "pjproject none"
            (cd "$out.new" && find . -name buildopts.h -exec sha256sum {} +)
        } >"$out.new/MANIFEST"
        finish "$root"
        exit 0
    fi
    if [ -f "$out/MANIFEST" ] && [ -f "$out/DEFINES" ] && [ "$(head -n 1 "$out/MANIFEST")" = "Debian asterisk $version" ]; then
        exit 0
    fi

    begin
    cp -R "$root/usr/include/asterisk" "$root/usr/include/asterisk.h" "$out.new/asterisk/"
    work=$(mktemp -d)

    # The same signed index the root was made from, with an apt of its own: the machine's lists are not touched.
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"
    sed -n 's/^deb /deb-src /p' "$root/etc/apt/sources.list" >"$work/sources.list"
    cat >"$work/apt.conf" <<END
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/nonexistent";
Dir::State::Lists "$work/lists";
Dir::Cache "$work/cache";
Dir::Etc::TrustedParts "$root/etc/apt/trusted.gpg.d";
Acquire::Check-Valid-Until "false";
APT::Sandbox::User "root";
END
    export APT_CONFIG="$work/apt.conf"
    apt-get -qq update
    (cd "$work/source" && apt-get -qq source --download-only "asterisk=$version") ||
        refuse "the source of asterisk $version is not in the archive any more; make a new root"

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
    # As Asterisk's echo_cflags does.
    # shellcheck disable=SC2016
    defines "$(cd "$work/pj" && printf 'include build.mak\nflags:\n\t@echo $(PJ_CFLAGS)\n' | PJDIR=$PWD make -s -f - flags)" >"$out.new/DEFINES"
    {
        echo "Debian asterisk $version"
        echo "version $(chroot "$root" asterisk -V | sed 's/^Asterisk //')"
        (cd "$work/source" && sha256sum ./*.dsc ./*.tar.xz)
    } >"$out.new/MANIFEST"
    finish "$root"
}

case $1 in
--root) from_root "$2" ;;
--tree) from_tree "$2" ;;
*) usage ;;
esac
