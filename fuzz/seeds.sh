#!/bin/sh
# What real peers send (tests/peers) as seeds: fuzz/seeds.sh FOLDER makes FOLDER/sdes_parse and FOLDER/sip_frame.
# Each target's file in fuzz/fuzz_targets says what its input is.
set -eu
peers=$(dirname "$0")/../tests/peers
out=$1
mkdir -p "$out/sdes_parse" "$out/sip_frame"

# The strict rules, then a crypto attribute.
for file in "$peers"/offers/*.sdp "$peers"/answers/*.sdp; do
	n=0
	sed -n 's/^a=crypto://p' "$file" | while IFS= read -r value; do
		n=$((n + 1))
		printf '\000%s' "$value" >"$out/sdes_parse/$(basename "$file" .sdp)-$n"
	done
done

# No splits, then a stream.
for file in "$peers"/streams/*.sip; do
	{
		printf '\000'
		sed '/^# /d' "$file" | while IFS= read -r line; do
			rest="Via: SIP/2.0/TLS c\r\nCSeq: ${line#* } OPTIONS\r\nContent-Length: 0\r\n\r\n"
			case $line in
			message*) printf '%b' "OPTIONS sip:a@b SIP/2.0\r\n$rest" ;;
			response*) printf '%b' "SIP/2.0 200 OK\r\n$rest" ;;
			octets*) printf '%b' "${line#octets }" ;;
			esac
		done
	} >"$out/sip_frame/$(basename "$file" .sip)"
done
