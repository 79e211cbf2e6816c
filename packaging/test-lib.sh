# What the tests of packages share: sourced by packaging/test-*.sh. Named checks, of which all run; `finish` has their count.
# The output of what is looked at goes to the file $said, which a failed check shows.
# shellcheck shell=sh
said=$(mktemp)
passed=0 failed=0
pid='' was='' # set by the caller: of the Asterisk that runs, and what protected() said before

check() { # NAME COMMAND...
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok: $name"
    else
        failed=$((failed + 1))
        echo "FAILED: $name" >&2
        sed 's/^/    /' "$said" >&2
    fi
}
not() { ! "$@"; }
says() { grep -qF -- "$1" "$said"; }
# Until it holds, or 60 seconds, which only a hang reaches.
until_holds() {
    tries=600
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "waited in vain for: $*" >&2; return 1; }
        sleep 0.1
    done
}
finish() { # NAME
    echo "$1: $passed passed, $failed failed"
    rm -f "$said"
    [ "$failed" -eq 0 ]
}

# --- A running Asterisk: the caller defines console() ------------------------------------------------------------------

answers() { console "$1" 2>/dev/null | grep -qE "$2"; }
booted() { answers 'core show uptime' 'System uptime' && console 'core waitfullybooted' >/dev/null; }
alive() { [ "$(pidof asterisk)" = "$pid" ]; }
stop() {
    console 'core stop now' >/dev/null 2>&1 || :
    until_holds not pidof asterisk >/dev/null
}
# The inode of the module that it has loaded.
loaded_inode() { awk '/res_ciphertrunk\.so/ { print $5; exit }' "/proc/$(pidof asterisk)/maps"; }
in_force() { console 'ciphertrunk show status' >"$said" 2>&1; grep -qi 'engine: ours' "$said" && [ -n "$(loaded_inode)" ]; }
stock_in_force() { answers 'module show like res_srtp.so' 'Running' && [ -z "$(loaded_inode)" ]; }
# Calls whose packets go to and come from 127.0.0.1: so many sessions.
sessions() { console 'ciphertrunk show sessions' | grep -c '127\.0\.0\.1' | grep -qx "$1"; }
protected() { console 'ciphertrunk show status' | grep -i 'RTP protected'; }
more_packets() { [ "$(protected)" != "$was" ]; }

# An endpoint `loop` with which Asterisk calls itself over TLS, SRTP required: two sessions. In the configuration folder $1 as
# Asterisk names it ($2 as it is from here); certificates go to keys/ in it.
loop_call() {
    mkdir -p "$2/keys"
    openssl req -quiet -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout "$2/keys/key.pem" -out "$2/keys/cert.pem" 2>/dev/null ||
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout "$2/keys/key.pem" -out "$2/keys/cert.pem" 2>"$said"
    cat >>"$2/pjsip.conf" <<END

[test-tls]
type=transport
protocol=tls
bind=127.0.0.1:5061
cert_file=$1/keys/cert.pem
priv_key_file=$1/keys/key.pem
[loop]
type=endpoint
context=test-loop
disallow=all
allow=ulaw
media_encryption=sdes
transport=test-tls
aors=loop
[loop]
type=aor
contact=sip:echo@127.0.0.1:5061\;transport=tls
[loop]
type=identify
endpoint=loop
match=127.0.0.1
END
    printf '\n[test-loop]\nexten = echo,1,Answer\nsame = n,Milliwatt\n' >>"$2/extensions.conf"
}
