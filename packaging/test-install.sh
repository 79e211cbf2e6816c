#!/bin/sh
# Runs install.sh against made-up trees in a temporary folder: what fits, what does not, and that nothing is half done.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

check() {
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name" >&2
        sed 's/^/    /' "$work/said" >&2
    fi
}
not() { ! "$@"; }
says() { grep -qF -- "$1" "$work/said"; }
one_line() { [ "$(wc -l <"$work/said")" -eq 1 ]; }
inode() { stat -c %i "$1"; }
holds() { cmp -s "$1" "$2"; }
# What a refused run must leave as it was: every file with its inode and contents.
state() { (cd "$1" && find . -type f -exec stat -c '%n %i %s' {} + -exec sha256sum {} + | sort); }

# A prefix with an Asterisk of version $2.
host() {
    rm -rf "$1"
    mkdir -p "$1/var/lib/asterisk/documentation/thirdparty" "$1/sbin" "$1/lib64/asterisk/modules" "$1/etc/asterisk" "$1/include/asterisk"
    printf '#!/bin/sh\necho "Asterisk %s"\n' "$2" >"$1/sbin/asterisk"
    chmod +x "$1/sbin/asterisk"
    printf '[directories](!)\nastetcdir => %s/etc/asterisk\nastmoddir => %s/lib64/asterisk/modules ; said here\n' "$1" "$1" >"$1/etc/asterisk/asterisk.conf"
    printf '[modules]\nautoload = yes\n' >"$1/etc/asterisk/modules.conf"
    printf '#define AST_BUILDOPT_SUM "aaaa"\n' >"$1/include/asterisk/buildopts.h"
}

# An archive as make tarball lays it. A library of this machine stands for the module: ldd has to read it.
archive() {
    rm -rf "$work/my archive"
    mkdir -p "$work/my archive/docs"
    cp "$here/install.sh" "$work/my archive/"
    cp "$(ldd /bin/sh | sed -n 's/.*=> \(.*libc\.so[^ ]*\).*/\1/p')" "$work/my archive/res_ciphertrunk.so"
    echo '; sample' >"$work/my archive/ciphertrunk.conf.sample"
    echo '<docs/>' >"$work/my archive/res_ciphertrunk-en_US.xml"
    echo program >"$work/my archive/ciphertrunk-check"
    echo .TH >"$work/my archive/ciphertrunk-check.1"
    echo readme >"$work/my archive/README.md"
    echo page >"$work/my archive/docs/page.md"
    mkdir -p "$work/my archive/docs/pictures"
    echo picture >"$work/my archive/docs/pictures/of a page.svg"
    printf 'asterisk %s\nmachine %s\npjproject 2.17.0\nbuildopts aaaa\n' "$1" "$(uname -m)" >"$work/my archive/BUILT"
}
install() {
    result=0
    "$work/my archive/install.sh" --prefix "$prefix" "$@" >"$work/said" 2>&1 || result=$?
    return "$result"
}
refuses() {
    before=$(state "$prefix")
    not install "$@" && one_line && [ "$(state "$prefix")" = "$before" ]
}

prefix="$work/opt/my asterisk"
module=$prefix/lib64/asterisk/modules/res_ciphertrunk.so
conf=$prefix/etc/asterisk/ciphertrunk.conf
docs=$prefix/share/doc/ciphertrunk
xml=$prefix/var/lib/asterisk/documentation/thirdparty/res_ciphertrunk-en_US.xml

archive 22.10.1
host "$prefix" 22.10.1
before=$(state "$prefix")
check "a dry run says what it would do" install --dry-run
check "... with the module's path" says "res_ciphertrunk.so as $module"
check "... and does nothing" [ "$(state "$prefix")" = "$before" ]

check "the same version is installed" install
check "... the module" holds "$module" "$work/my archive/res_ciphertrunk.so"
check "... the configuration" holds "$conf" "$work/my archive/ciphertrunk.conf.sample"
check "... not for everybody to read" [ "$(stat -c %a "$conf")" = 640 ]
check "... the documents" holds "$docs/page.md" "$work/my archive/docs/page.md"
check "... their pictures, where the pages name them" holds "$docs/pictures/of a page.svg" "$work/my archive/docs/pictures/of a page.svg"
check "... what core show function prints" holds "$xml" "$work/my archive/res_ciphertrunk-en_US.xml"
check "... the program" holds "$prefix/bin/ciphertrunk-check" "$work/my archive/ciphertrunk-check"
check "... that may be started" test -x "$prefix/bin/ciphertrunk-check"
check "... its page" holds "$prefix/share/man/man1/ciphertrunk-check.1" "$work/my archive/ciphertrunk-check.1"
check "... and what modules.conf lacks is said" says "require = res_ciphertrunk.so"
check "... but not written there" not grep -q ciphertrunk "$prefix/etc/asterisk/modules.conf"

was=$(inode "$module")
exec 9<"$module" # so that the inode cannot be used again, as a loaded module's cannot
echo more >>"$work/my archive/res_ciphertrunk.so"
printf '[modules]\nnoload=>res_srtp.so\nrequire = res_ciphertrunk.so\n' >"$prefix/etc/asterisk/modules.conf"
check "a newer build is installed over it" install
check "... as a new inode" [ "$(inode "$module")" != "$was" ]
check "... and the old one is whole for who has it loaded" [ "$(wc -c <&9)" -eq "$(($(wc -c <"$module") - 5))" ]
check "... nothing is left beside it" [ "$(find "$prefix" -name '*.new' | wc -l)" -eq 0 ]
check "... and modules.conf is complete" not says "Put into"

echo '; sample of the next version' >"$work/my archive/ciphertrunk.conf.sample"
check "a configuration that nobody changed becomes the new sample" install
check "... it has" holds "$conf" "$work/my archive/ciphertrunk.conf.sample"
echo '; ours' >"$conf"
echo '; sample after that' >"$work/my archive/ciphertrunk.conf.sample"
check "a changed configuration stays" install
check "... as it was" [ "$(cat "$conf")" = "; ours" ]
check "... with the new sample beside the documents" holds "$docs/ciphertrunk.conf.sample" "$work/my archive/ciphertrunk.conf.sample"
check "... and that is said" says "was changed here, and stays"

check "it is not removed while modules.conf requires it" refuses --uninstall
echo '[modules]' >"$prefix/etc/asterisk/modules.conf"
check "it is removed" install --uninstall
check "... with what core show function prints" not test -e "$xml"
check "... and the program" not test -e "$prefix/bin/ciphertrunk-check"
check "... the module" [ ! -e "$module" ]
check "... the changed configuration stays" [ "$(cat "$conf")" = "; ours" ]

host "$prefix" 22.11.0-rc1
check "a later minor of the branch" install
host "$prefix" 22.9.0
check "an earlier one is refused" refuses
check "... with both versions" says "built for Asterisk 22.10.1 and needs that or later of the branch, and $prefix/sbin/asterisk is 22.9.0"
host "$prefix" 18.21.0-vici
check "another branch is refused" refuses
check "... with both" says "this module is for Asterisk 22 (built for 22.10.1), and $prefix/sbin/asterisk is 18.21.0-vici"
check "... in a dry run too" refuses --dry-run
host "$prefix" GIT-master-0123
check "a version without a number is refused" refuses
host "$prefix" 22.10.1
echo '#define AST_BUILDOPT_SUM "bbbb"' >"$prefix/include/asterisk/buildopts.h"
check "other compile options are refused" refuses
check "... with both sums" says "(AST_BUILDOPT_SUM aaaa) than $prefix/sbin/asterisk was (bbbb,"
rm "$prefix/include/asterisk/buildopts.h"
check "without their header they are refused when the program has another sum" refuses
check "... as that" says "than $prefix/sbin/asterisk was (another)"
echo '# the sum in the program: aaaa' >>"$prefix/sbin/asterisk"
check "... and taken when it has that one" install
# A library as a linker leaves it: its strings between zeros.
pjproject() { printf 'ELF\0002.0\0%s\0pjlib %%s for POSIX\0' "$1" >"$prefix/lib64/libasteriskpj.so.2"; }
pjproject 2.15.1
check "another pjproject is refused" refuses
check "... with both" says "built for pjproject 2.17.0, and $prefix/lib64/libasteriskpj.so.2 is 2.15.1"
pjproject 2.17
check "another way of writing the same is no other" install
host "$prefix" 22.10.1
rm "$prefix/sbin/asterisk"
check "no asterisk to ask is refused" refuses
printf '#!/bin/sh\nexit 127\n' >"$prefix/sbin/asterisk"
chmod +x "$prefix/sbin/asterisk"
check "an asterisk that does not start is refused" refuses
host "$prefix" 22.10.1
rm -r "${prefix:?}/lib64"
check "a folder of modules that is not there is refused" refuses
check "... with who says so" says "asterisk.conf or --moddir says"
mkdir -p "$prefix/lib/asterisk/modules"
: >"$prefix/etc/asterisk/asterisk.conf"
check "without astmoddir it is looked for below the prefix" install
check "... and found" [ -f "$prefix/lib/asterisk/modules/res_ciphertrunk.so" ]
host "$prefix" 22.10.1
sed -i "s/^machine.*/machine sparc64/" "$work/my archive/BUILT"
check "another machine is refused" refuses
archive 22.10.1
rm "$work/my archive/ciphertrunk.conf.sample"
check "half an archive is refused" refuses
archive 22.10.1
check "an unknown option is refused" refuses --force
check "an option without its value is refused" refuses --moddir
rm -r "${prefix:?}/etc"
check "no configuration is refused" refuses

echo "install.sh: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
