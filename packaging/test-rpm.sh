#!/bin/sh
# What the rpm in build/rpm does on a host: is refused by another branch, installs, is installed again over a changed
# configuration and a loaded module, is erased. In ROOT (tests/root.sh), of which nothing is changed: in an overlay, with a rpm
# database of its own. A script that prints a version stands for Asterisk.
#
#   test-rpm.sh ROOT
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
if [ "${1-}" != --inside ]; then
    [ "$(id -u)" -eq 0 ] || { echo "test-rpm: it needs root. Run once: sudo make test-rpm" >&2; exit 1; }
    package=$(find "$here/build/rpm" -maxdepth 1 -name 'asterisk-ciphertrunk-[0-9]*.rpm' ! -name '*.src.rpm' 2>/dev/null)
    [ -n "$package" ] || { echo "test-rpm: run make rpm first" >&2; exit 1; }
    exec unshare --mount --propagation private "$0" --inside "$(cd "$1" && pwd -P)" "$package"
fi

package=$3
root=$(mktemp -d)
mount -t tmpfs tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/host"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$root/upper,workdir=$root/work" "$root/host"
mount --bind /dev "$root/host/dev"
host=$root/host
. "$here/packaging/test-lib.sh"
# What it needs of other packages (libc, OpenSSL) is there, and not known to this database.
in_rpm() { rpm --root "$host" --dbpath /var/lib/rpm-test --nodeps "$@" >"$said" 2>&1; }

module=$(rpm -qlp "$package" | grep '/res_ciphertrunk\.so$')
conf=$(rpm -qlp "$package" | grep '/ciphertrunk\.conf$')
program=$(rpm -qp --scripts "$package" | sed -n 's/^asterisk=//p')
version=$(rpm -qp --qf '%{description}' "$package" | sed -n 's/^\([0-9][^,]*\),$/\1/p')
branch=${version%%.*}
sum=$(rpm -qp --scripts "$package" | sed -n 's/.*grep -aqF \([0-9a-f]*\) .*/\1/p')
etc=$(dirname "$conf")
mkdir -p "$host$(dirname "$program")" "$host$(dirname "$module")" "$host$etc"
asterisk() {
    printf '#!/bin/sh\necho "Asterisk %s" # %s\n' "$1" "${2-$sum}" >"$host$program"
    chmod 755 "$host$program"
}
: >"$host$etc/asterisk.conf"
chown 7:8 "$host$etc/asterisk.conf"
printf '[modules]\nautoload = yes\n' >"$host$etc/modules.conf"
cp "$host$etc/modules.conf" "$root/modules.conf"
nothing() { [ ! -e "$host$module" ] && [ ! -e "$host$conf" ] && ! in_rpm -q asterisk-ciphertrunk; }

asterisk "$((branch + 1)).9.0"
check "another branch refuses it" not in_rpm -i "$package"
check "... in one line with both versions" says "is for Asterisk $version and later of that branch, and $program is '$((branch + 1)).9.0'"
check "... with the command" says "make rpm ASTERISK_SRC="
check "... and nothing is installed" nothing
asterisk "$branch.0.0"
check "an earlier minor release refuses it" not in_rpm -i "$package"
check "... and nothing is installed" nothing
asterisk "$version" another
check "other compile options refuse it" not in_rpm -i "$package"
check "... with the sum" says "(AST_BUILDOPT_SUM $sum) than $program was"
check "... and nothing is installed" nothing
asterisk "$version"
check "its Asterisk takes it" in_rpm -i "$package"
check "... and it says what modules.conf lacks" says "modules.conf.sample"
check "... and leaves modules.conf as it was" cmp -s "$host$etc/modules.conf" "$root/modules.conf"
check "... with the module" [ -s "$host$module" ]
check "... and a configuration of the owner of asterisk.conf's, which others cannot read" [ "$(stat -c '%u:%g %a' "$host$conf")" = "7:8 640" ]
rpm -qlvp "$package"

before=$(stat -c %i "$host$module")
exec 9<"$host$module" # its inode cannot be used again, as that of a loaded module cannot
echo '; changed here' >>"$host$conf"
check "it is installed once more" in_rpm -U --replacepkgs "$package"
check "... as a new file, not into the old one" [ "$(stat -c %i "$host$module")" != "$before" ]
check "... and the changed configuration stays" grep -q '; changed here' "$host$conf"
check "... with its owner" [ "$(stat -c '%u:%g %a' "$host$conf")" = "7:8 640" ]

echo 'require = res_ciphertrunk.so' >>"$host$etc/modules.conf"
check "it is erased" in_rpm -e asterisk-ciphertrunk
check "... and says what modules.conf still requires" says "still requires res_ciphertrunk.so"
check "... and the module is gone" [ ! -e "$host$module" ]
check "... and the changed configuration is kept" grep -q '; changed here' "$host$conf.rpmsave"

finish test-rpm
