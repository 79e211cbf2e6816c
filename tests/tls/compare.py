"""`make test-tls`: scripts of tlsfuzzer, and sslyze, against crates/sip-tls and against `openssl s_server`; what differs is printed.

    compare.py SERVER TLSFUZZER FOLDER

SERVER is the example `answering` of crates/sip-tls, TLSFUZZER a checkout of https://github.com/tlsfuzzer/tlsfuzzer, FOLDER one for what is
made here. tlsfuzzer sends HTTP requests, which `s_server -www` answers; ours gets a SIP request in their place, from a copy of it. Both
have one RSA certificate and OpenSSL's default suites, static RSA and CBC with SHA-1 among them: what most scripts need.
It fails when ours fails where s_server does not, beside what `KNOWN` names.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time

CIPHERS = "DEFAULT:AES128-SHA:AES256-SHA:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:DHE-RSA-AES128-SHA:@SECLEVEL=0"
# A whole request, and the first line of one that goes on.
HTTP = re.compile(rb"GET / HTTP/1\.0(?:\\r)?\\n(?:\\r)?\\n")
HTTP_LINE = re.compile(rb"GET /\S* HTTP/1\.0(?:\\r)?\\n")
SIP_LINES = rb"OPTIONS sip:a SIP/2.0\\r\\nVia: SIP/2.0/TLS x\\r\\nCSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n"
SIP = SIP_LINES + rb"\\r\\n"
# One that comes in three pieces.
PIECES = [(b'b"GET /"', b'b"OPTIONS sip:a SI"'), (b'b"HTTP/1."', b'b"P/2."'), (rb'b"0\r\n\r\n"', b'b"0' + SIP_LINES.split(rb"SIP/2.0", 1)[1].replace(rb"\\", b"\\") + rb'\r\n"')]
# A script that takes longer hangs, on a busy machine too. It is said and counts as failed.
LIMIT = 300

# The script without `test-` and `.py`, and its options.
SCRIPTS = [
    ("record-layer-fragmentation", "-d"),
    ("zero-length-data", "-d"),
    ("truncating-of-client-hello", "-n 100"),
    ("large-hello", "-d -n 40"),
    ("client-hello-max-size", "-d"),
    ("invalid-version", ""),
    ("version-numbers", "-d"),
    ("invalid-cipher-suites", ""),
    ("invalid-content-type", "-d"),
    ("fallback-scsv", "-d --tls-1.3"),
    ("renegotiation-disabled", "-d"),
    ("hello-request-by-client", "-d"),
    ("message-skipping", "-d"),
    ("session-ticket-resumption", "-d"),
    ("sessionID-resumption", "-d"),
    ("extensions", ""),
    ("fuzzed-ciphertext", "-d -n 40"),
    ("tls13-conversation", ""),
    ("tls13-ccs", ""),
    ("tls13-multiple-ccs-messages", ""),
    ("tls13-empty-alert", ""),
    ("tls13-zero-length-data", ""),
    ("tls13-keyshare-omitted", ""),
    ("tls13-ecdhe-curves", "-n 40"),
    ("tls13-invalid-ciphers", "-n 40"),
    ("tls13-hrr", ""),
    ("tls13-keyupdate", "-n 20"),
    ("tls13-session-resumption", ""),
    ("tls13-unrecognised-groups", ""),
    ("tls13-version-negotiation", "-n 40"),
    ("tls13-finished", "-n 40"),
    ("tls13-nociphers", ""),
]

# Scripts in which ours fails more than s_server, and why that is no fault (docs/tls-beside-stock.md, "tlsfuzzer and sslyze").
KNOWN = {
    "sessionID-resumption": "sessions of TLS 1.2 are resumed by tickets alone: a cache of them is memory that clients fill",
}


def copy(tlsfuzzer, to, sip):
    """Copies what runs of tlsfuzzer."""
    shutil.rmtree(to, ignore_errors=True)
    for part in ["scripts", "tlsfuzzer"]:
        shutil.copytree(os.path.join(tlsfuzzer, part), os.path.join(to, part))
    apps = os.path.join(to, "tlsfuzzer", "_apps")
    for name in os.listdir(apps) if sip else []:
        path = os.path.join(apps, name)
        if name.endswith(".py"):
            with open(path, "rb") as file:
                text = file.read()
            for old, new in PIECES:
                text = text.replace(old, new)
            with open(path, "wb") as file:
                file.write(HTTP_LINE.sub(SIP_LINES, HTTP.sub(SIP, text)))


def run(folder, script, options, port):
    """How many conversations passed and failed, and the names of those that failed. None: it did not come to its end."""
    command = [sys.executable, f"scripts/test-{script}.py", "-h", "127.0.0.1", "-p", str(port), *shlex.split(options)]
    log = os.path.join(folder, f"{script}.log")
    with open(log, "w", encoding="utf-8") as out:
        try:
            subprocess.run(command, cwd=folder, stdout=out, stderr=out, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return None
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read()
    count = {key: re.search(rf"^{key}: (\d+)", text, re.M) for key in ["PASS", "FAIL"]}
    if not all(count.values()):
        return None
    failed = re.search(r"^FAILED:\n((?:\t.*\n)+)", text, re.M)
    names = {line.strip() for line in failed.group(1).splitlines()} if failed else set()
    return int(count["PASS"].group(1)), int(count["FAIL"].group(1)), names


def shown(result):
    return "no end" if result is None else f"{result[0]} / {result[1]}"


def fuzz(folders, ports):
    """The table; how many differences are not known."""
    unknown = 0
    print("| script | ours: passed / failed | s_server | only ours fails |\n|---|---|---|---|")
    for script, options in SCRIPTS:
        ours, theirs = (run(folder, script, options, port) for folder, port in zip(folders, ports))
        more = set() if ours is None or theirs is None else ours[2] - theirs[2]
        if more:
            # With `-n` a script takes some of its conversations at random: s_server has these too.
            again = run(folders[1], script, options + " " + " ".join(shlex.quote(name.strip("'")) for name in sorted(more)), ports[1])
            more -= again[2] if again else set()
        fault = (ours is None and theirs is not None) or bool(more)
        if fault and script not in KNOWN:
            unknown += 1
        print(f"| {script} {options} | {shown(ours)} | {shown(theirs)} | {'; '.join(sorted(more))}{'' if not fault or script in KNOWN else ' NEW'} |", flush=True)
    return unknown


def sslyze(folder, port):
    """What sslyze finds: suites of each version, and weaknesses."""
    out = os.path.join(folder, f"sslyze-{port}.json")
    program = os.path.join(os.path.dirname(sys.executable), "sslyze")
    subprocess.run([program, f"127.0.0.1:{port}", f"--json_out={out}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=LIMIT, check=False)
    with open(out, encoding="utf-8") as file:
        result = json.load(file)["server_scan_results"][0]["scan_result"]
    found = {}
    for name, value in result.items():
        value = (value or {}).get("result")
        if not isinstance(value, dict):
            continue
        if "accepted_cipher_suites" in value:
            found[name] = len(value["accepted_cipher_suites"])
        elif name != "certificate_info":
            found.update({f"{name}.{key}": one for key, one in value.items() if isinstance(one, (bool, int, str))})
    assert found["tls_1_3_cipher_suites"], f"sslyze found nothing: {out}"
    return found


def main():
    server, tlsfuzzer, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    folder = os.path.abspath(folder)
    certificate, key = (os.path.join(folder, name) for name in ["certificate.pem", "key.pem"])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, stderr=subprocess.DEVNULL,
    )
    folders = [os.path.join(folder, name) for name in ["ours", "s_server"]]
    for path, sip in zip(folders, [True, False]):
        copy(tlsfuzzer, path, sip)
    ports = [24433, 24434]
    commands = [
        [server, f"127.0.0.1:{ports[0]}", certificate, key, CIPHERS],
        ["openssl", "s_server", "-www", "-quiet", "-no_tls1", "-no_tls1_1", "-accept", f"127.0.0.1:{ports[1]}", "-cert", certificate, "-key", key, "-cipher", CIPHERS],
    ]
    servers = []
    try:
        for name, command in zip(["ours", "s_server"], commands):
            with open(os.path.join(folder, f"{name}.out"), "w", encoding="utf-8") as out:
                servers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out))
        for port in ports:
            while subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
                if any(one.poll() is not None for one in servers):
                    sys.exit("a server has ended: see " + folder)
                time.sleep(0.1)
        unknown = fuzz(folders, ports)
        ours, theirs = (sslyze(folder, port) for port in ports)
        print(f"\nsslyze: {len(ours.keys() & theirs.keys())} properties of both; those that differ:\n\n| sslyze | ours | s_server |\n|---|---|---|")
        for name in sorted(ours.keys() | theirs.keys()):
            if ours.get(name) != theirs.get(name):
                print(f"| {name} | {ours.get(name)} | {theirs.get(name)} |")
        if any(one.poll() is not None for one in servers):
            sys.exit("a server has ended")
    finally:
        for one in servers:
            one.kill()
    sys.exit(f"{unknown} scripts differ in a way that is not known" if unknown else 0)


if __name__ == "__main__":
    main()
