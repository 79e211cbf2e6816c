#!/bin/sh
# Installs res_ciphertrunk.so, its configuration and its documents beside an Asterisk that is on this machine, or says in
# one line why not. It never edits modules.conf and never overwrites a ciphertrunk.conf that somebody changed.
#
#   ./install.sh [--dry-run] [--prefix DIR] [--moddir DIR] [--confdir DIR] [--docdir DIR] [--datadir DIR] [--asterisk PROGRAM] [--destdir DIR]
#   ./install.sh --uninstall [--dry-run] [...]
#
#   --dry-run    says what would be done, and does nothing
#   --prefix     where Asterisk was installed (its ./configure --prefix); /usr, /usr/local and /opt/asterisk are looked into without it
#   --moddir, --confdir, --docdir, --datadir   the folders, where asterisk.conf does not say them or says them wrongly
#   --asterisk   the program that is asked for its version
#   --destdir    puts everything below DIR, for a package: no Asterisk is looked for or asked there
#
# What is installed lies beside this script (make tarball), or is named by MODULE=, SAMPLE=, CHECK=, MAN=, DOCS= and BUILT= (make install).
# ciphertrunk-check goes into bin of --prefix (/usr) where it is there: it is not built with the module.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
module=${MODULE:-$here/res_ciphertrunk.so}
sample=${SAMPLE:-$here/ciphertrunk.conf.sample}
built=${BUILT:-$here/BUILT}
xml=${XML:-$here/res_ciphertrunk-en_US.xml}
check=${CHECK:-$here/ciphertrunk-check}
man=${MAN:-$here/ciphertrunk-check.1}
docs=${DOCS:-README.md CHANGELOG.md LICENSE docs}
from=$([ -n "${DOCS:-}" ] && echo . || echo "$here")

for option in dry uninstall prefix moddir confdir docdir datadir asterisk destdir; do
    eval "$option=''"
done

fail() {
    echo "ciphertrunk: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry=yes ;;
        --uninstall) uninstall=yes ;;
        --prefix | --moddir | --confdir | --docdir | --datadir | --asterisk | --destdir)
            [ $# -ge 2 ] || fail "$1 wants a value"
            case $1 in
                --prefix) prefix=$2 ;;
                --moddir) moddir=$2 ;;
                --confdir) confdir=$2 ;;
                --docdir) docdir=$2 ;;
                --datadir) datadir=$2 ;;
                --asterisk) asterisk=$2 ;;
                --destdir) destdir=$2 ;;
            esac
            shift
            ;;
        -h | --help)
            sed -n '2,/^set /{s/^# \{0,1\}//p}' "$0"
            exit 0
            ;;
        *) fail "'$1' is not an option of this script; --help lists them" ;;
    esac
    shift
done

# --- Where Asterisk is ------------------------------------------------------------------------------------------------

# The first of the arguments that is there.
first() {
    for candidate; do
        if [ -e "$candidate" ]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
}

# What asterisk.conf says: `astmoddir => /usr/lib/asterisk/modules`, with a comment perhaps.
from_conf() {
    [ -r "$confdir/asterisk.conf" ] || return 0
    sed -n "s/^[[:space:]]*$1[[:space:]]*=>*[[:space:]]*\([^;]*\).*/\1/p" "$confdir/asterisk.conf" | sed 's/[[:space:]]*$//' | head -n 1
}

# The prefixes to look below.
if [ -n "$prefix" ]; then set -- "${prefix%/}"; else set -- /usr /usr/local /opt/asterisk; fi

if [ -z "$destdir" ]; then
    for base; do
        [ -z "$confdir" ] || break
        # Below /usr a configuration is in /etc, as configure of Asterisk has it.
        etc=$base/etc
        [ "$base" != /usr ] || etc=/etc
        confdir=$(first "$etc/asterisk")
    done
    [ -d "$confdir" ] || fail "no /etc/asterisk was found: name Asterisk's prefix (--prefix DIR) or its configuration (--confdir DIR)"
    [ -n "$moddir" ] || moddir=$(from_conf astmoddir)
    if [ -z "$moddir" ]; then
        for base; do
            moddir=$(first "$base"/lib/*/asterisk/modules "$base/lib64/asterisk/modules" "$base/lib/asterisk/modules")
            [ -z "$moddir" ] || break
        done
    fi
    [ -n "$moddir" ] || fail "no folder of Asterisk's modules was found: name it (--moddir DIR), or Asterisk's prefix (--prefix DIR)"
    [ -d "$moddir" ] || fail "$moddir is not there, and $confdir/asterisk.conf or --moddir says that Asterisk's modules are: name the right one (--moddir DIR)"
    if [ -z "$asterisk" ]; then
        for base; do
            [ ! -x "$base/sbin/asterisk" ] || { asterisk=$base/sbin/asterisk; break; }
        done
    fi
    # Asterisk reads the documents of functions below documentation/thirdparty of its data.
    [ -n "$datadir" ] || datadir=$(from_conf astdatadir)
    if [ -z "$datadir" ]; then
        for base; do
            # Below /usr it is in /var, as configure of Asterisk has it, but for Debian's.
            var=$base/var
            [ "$base" != /usr ] || var=/var
            documents=$(first "$base/share/asterisk/documentation" "$var/lib/asterisk/documentation")
            [ -z "$documents" ] || { datadir=${documents%/documentation}; break; }
        done
    fi
else
    datadir=${datadir:-/usr/share/asterisk}
    [ -n "$moddir" ] || fail "--destdir wants --moddir: there is no Asterisk to ask"
    confdir=${confdir:-/etc/asterisk}
fi
docdir=${docdir:-${prefix:-/usr}/share/doc/ciphertrunk}

to_module=$destdir$moddir/res_ciphertrunk.so
to_conf=$destdir$confdir/ciphertrunk.conf
to_docs=$destdir$docdir
to_check=$destdir${prefix:-/usr}/bin/ciphertrunk-check
to_man=$destdir${prefix:-/usr}/share/man/man1/ciphertrunk-check.1
to_xml=${datadir:+$destdir$datadir/documentation/thirdparty/res_ciphertrunk-en_US.xml}

run() {
    if [ -n "$dry" ]; then
        echo "would: $*"
    else
        "$@"
    fi
}

if [ -n "$uninstall" ]; then
    if grep -Eqs '^[[:space:]]*require[[:space:]]*=>*[[:space:]]*res_ciphertrunk\.so' "$destdir$confdir/modules.conf"; then
        fail "$confdir/modules.conf still requires res_ciphertrunk.so, and Asterisk would not come up without it: take that line out first"
    fi
    run rm -f "$to_module" "$to_check" "$to_man"
    [ -z "$to_xml" ] || run rm -f "$to_xml"
    if [ -f "$to_conf" ] && cmp -s "$to_conf" "$to_docs/ciphertrunk.conf.sample"; then
        run rm -f "$to_conf"
    elif [ -f "$to_conf" ]; then
        echo "ciphertrunk: $to_conf was changed, and stays"
    fi
    run rm -rf "$to_docs"
    exit 0
fi

# --- What does not fit is refused before anything is written ----------------------------------------------------------

[ -f "$module" ] || fail "$module is not there. In a source tree run make module first"
[ -f "$sample" ] || fail "$sample is not there: this archive is not whole"

word() { sed -n "s/^$1 //p" "$built" | head -n 1; }
number() { printf '%s' "$1" | sed 's/^[^0-9]*//' | cut -d. -f"$2" | sed 's/[^0-9].*//'; }

if [ -z "$destdir" ]; then
    if [ -f "$built" ]; then
        for_version=$(word asterisk) for_machine=$(word machine) for_sum=$(word buildopts)
        [ -z "$for_machine" ] || [ "$for_machine" = "$(uname -m)" ] ||
            fail "this module is for $for_machine, and this machine is $(uname -m): build it here (make module)"
        [ -n "$asterisk" ] || fail "no asterisk program was found to compare versions with: name it (--asterisk PROGRAM)"
        version=$("$asterisk" -V 2>/dev/null) || fail "$asterisk -V failed: is it Asterisk, and are its libraries found (ldconfig)?"
        version=$(printf '%s' "$version" | sed 's/^Asterisk //')
        case $(number "$version" 1) in
            '') fail "$asterisk -V says '$version', which is no version of Asterisk: is it built from a branch's head? Build the module with make module ASTERISK_SRC=" ;;
        esac
        if [ "$(number "$for_version" 1)" != "$(number "$version" 1)" ]; then
            fail "this module is for Asterisk $(number "$for_version" 1) (built for $for_version), and $asterisk is $version: build it for that one (make module ASTERISK_SRC=)"
        fi
        if [ "$(number "$for_version" 2)" -gt "$(number "$version" 2)" ]; then
            fail "this module was built for Asterisk $for_version and needs that or later of the branch, and $asterisk is $version: build it for that one (make module ASTERISK_SRC=)"
        fi
        headers=$(first "${asterisk%/sbin/asterisk}/include/asterisk/buildopts.h")
        sum=$([ -z "$headers" ] || sed -n 's/^#define AST_BUILDOPT_SUM "\(.*\)".*/\1/p' "$headers")
        # Without the header: the program has its own sum in it.
        [ -n "$sum" ] || sum=$(grep -aqF -- "$for_sum" "$asterisk" && echo "$for_sum" || echo another)
        if [ -n "$for_sum" ] && [ "$for_sum" != "$sum" ]; then
            fail "this module was built with other compile options of Asterisk (AST_BUILDOPT_SUM $for_sum) than $asterisk was ($sum${headers:+, in $headers}): build it with that Asterisk's tree (make module ASTERISK_SRC=)"
        fi
        # The pjproject that Asterisk bundles is a library of its own, with its version as a string.
        for_pjproject=$(word pjproject)
        library=$(first "${asterisk%/sbin/asterisk}"/lib*/libasteriskpj.so.2 "${asterisk%/sbin/asterisk}"/lib/*/libasteriskpj.so.2)
        pjproject=$([ -z "$library" ] || tr '\0' '\n' <"$library" | LC_ALL=C grep -aE '^2\.[0-9][0-9](\.[0-9]+)?$' | sort -u)
        if [ -n "$for_pjproject" ] && [ "$(printf '%s' "$pjproject" | grep -c .)" = 1 ] &&
            [ "$(printf '%s' "$for_pjproject" | cut -d. -f1,2)" != "$(printf '%s' "$pjproject" | cut -d. -f1,2)" ]; then
            fail "this module was built for pjproject $for_pjproject, and $library is $pjproject: build it for that Asterisk (make module ASTERISK_SRC=)"
        fi
    fi
    # Names of libraries and of versions of libc that this machine lacks.
    missing=$(ldd "$module" 2>&1 | sed -n 's/^[[:space:]]*\(lib[^ ]*\) => not found.*/\1/p; s/.*version .\(GLIBC_[0-9.]*\). not found.*/\1/p' | sort -u | tr '\n' ' ')
    [ -z "$missing" ] || fail "this machine lacks ${missing% } that the module was linked with: build it here (make module)"
    if [ -z "$dry" ]; then
        for folder in "$moddir" "$confdir"; do
            [ -w "$folder" ] || fail "$folder cannot be written to: run this as root"
        done
    fi
fi

# --- Installing -------------------------------------------------------------------------------------------------------

# Beside it and renamed: a loaded module keeps its own file (inode). Writing into that file would kill Asterisk.
replace() {
    if [ -n "$dry" ]; then
        echo "would: install $1 as $2 (mode $3)"
        return
    fi
    mkdir -p "$(dirname "$2")"
    rm -f "$2.new"
    if ! install -m "$3" "$1" "$2.new" || ! mv -f "$2.new" "$2"; then
        rm -f "$2.new"
        fail "$2 could not be written"
    fi
}

# The documents first and the module last: what stops in between leaves no module that was not there before.
if [ ! -e "$to_conf" ]; then
    configuration=new
elif cmp -s "$to_conf" "$sample"; then
    configuration=same
elif cmp -s "$to_conf" "$to_docs/ciphertrunk.conf.sample"; then
    configuration=unchanged # as the version before installed it
else
    configuration=edited
fi
for document in $docs; do
    document=$from/$document
    [ -e "$document" ] || continue
    if [ -d "$document" ]; then
        for page in "$document"/*; do
            [ ! -f "$page" ] || replace "$page" "$to_docs/${page##*/}" 0644
        done
        # The pages name them by this folder.
        for picture in "$document"/pictures/*; do
            [ ! -f "$picture" ] || replace "$picture" "$to_docs/pictures/${picture##*/}" 0644
        done
    else
        replace "$document" "$to_docs/${document##*/}" 0644
    fi
done
replace "$sample" "$to_docs/ciphertrunk.conf.sample" 0644
[ -z "$to_xml" ] || [ ! -f "$xml" ] || replace "$xml" "$to_xml" 0644
if [ -f "$check" ]; then
    replace "$check" "$to_check" 0755
    [ ! -f "$man" ] || replace "$man" "$to_man" 0644
fi
case $configuration in
    new | unchanged)
        replace "$sample" "$to_conf" 0640
        # As Asterisk's own: endpoints' names are nobody else's business, and Asterisk must be able to read it.
        if [ -z "$destdir$dry" ] && [ -e "$confdir/asterisk.conf" ]; then
            chown --reference="$confdir/asterisk.conf" "$to_conf" 2>/dev/null || chmod 0644 "$to_conf"
        fi
        ;;
    edited) echo "ciphertrunk: $to_conf was changed here, and stays; the new sample is $to_docs/ciphertrunk.conf.sample" ;;
esac
was=$([ ! -e "$to_module" ] || echo yes)
replace "$module" "$to_module" 0644
[ -z "$destdir" ] || exit 0

# --- What is left to do -----------------------------------------------------------------------------------------------

[ -n "$dry" ] || echo "ciphertrunk: installed $to_module"
has() { grep -Eqs "^[[:space:]]*$1[[:space:]]*=>*[[:space:]]*$2" "$confdir/modules.conf"; }
lines=
has noload 'res_srtp\.so' || lines="$lines
    noload = res_srtp.so"
has require 'res_ciphertrunk\.so' || lines="$lines
    require = res_ciphertrunk.so"
if [ -n "$lines" ]; then
    echo "Put into the [modules] section of $confdir/modules.conf:$lines"
fi
echo "It is in force after Asterisk is restarted (asterisk -rx 'core restart when convenient')$([ -z "$was" ] || echo '; until then the one before goes on')."
