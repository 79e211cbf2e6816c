"""`make test-tls`, second part: floods against the example `answering` of crates/sip-tls; memory and descriptors before and after.

    floods.py SERVER CERTIFICATE KEY [SHORT]

SHORT is how many short connections there are (100,000). It fails when a flood leaves descriptors behind, when the server does not answer
after one, or has ended.
"""

import os
import socket
import ssl
import struct
import subprocess
import sys
import time

with socket.create_server(("127.0.0.1", 0)) as free:
    ADDRESS = free.getsockname()
REQUEST = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
CONTEXT = ssl._create_unverified_context()  # Whose certificate it is does not matter here.
AT_ONCE = 500


def tcp():
    connection = socket.create_connection(ADDRESS)
    # The request would wait for the acknowledgement of the handshake's last message.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def reset(connection):
    """Ends a connection by RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(connection, octet):
    """One octet more; the server may have had enough of it (`handshake_timeout`)."""
    try:
        connection.sendall(bytes([octet]))
    except OSError:
        pass


def answered():
    with CONTEXT.wrap_socket(tcp()) as connection:
        connection.sendall(REQUEST)
        assert connection.recv(1000).startswith(b"SIP/2.0 200 ")


def connects():
    """Connections that say nothing and go."""
    for _ in range(20 * AT_ONCE):
        tcp().close()


def resets():
    """A ClientHello's beginning, then RST."""
    for _ in range(20 * AT_ONCE):
        one = tcp()
        one.sendall(b"\x16\x03\x01\x02\x00\x01")
        reset(one)


def half_open():
    """Connections that stay and say nothing, then RST."""
    held = [tcp() for _ in range(AT_ONCE)]
    answered()
    for one in held:
        reset(one)


def slow_loris():
    """A ClientHello octet by octet on many connections at once, and a message octet by octet on others."""
    held = [tcp() for _ in range(AT_ONCE)]
    said = [CONTEXT.wrap_socket(tcp()) for _ in range(AT_ONCE)]
    for octet in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03":
        for one in held:
            drip(one, octet)
    for octet in REQUEST[:11]:
        for one in said:
            drip(one, octet)
    answered()
    for one in held + said:
        one.close()


def short(count):
    """Connections with a handshake, a request and its answer."""
    for _ in range(count):
        answered()


def state(pid):
    """RSS without files in kB, and open descriptors."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        memory = next(line for line in file if line.startswith("RssAnon:"))
    return int(memory.split()[1]), len(os.listdir(f"/proc/{pid}/fd"))


def settle(pid, descriptors):
    """Waits until no more than so many descriptors are open; what never goes is waited for in vain."""
    answered()
    for _ in range(1200):
        after = state(pid)
        if after[1] <= descriptors:
            return after
        time.sleep(0.1)
    sys.exit(f"{after[1]} descriptors stay open, of {descriptors} before")


def main():
    server, certificate, key, *rest = sys.argv[1:]
    count = int(rest[0]) if rest else 100_000
    child = subprocess.Popen([server, f"{ADDRESS[0]}:{ADDRESS[1]}", certificate, key], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                answered()
                break
            except ConnectionRefusedError:
                assert child.poll() is None, "the server has ended"
                time.sleep(0.1)
        # What the first connections make stays.
        short(200)
        time.sleep(1)
        before = state(child.pid)
        print("| flood, the fifth time | RSS before, after (kB) | descriptors before, after |\n|---|---|---|")
        floods = [("connect", connects), ("reset", resets), ("half-open", half_open), ("slow-loris", slow_loris),
                  (f"{count} short connections", lambda: short(count))]
        for name, flood in floods:
            # What it takes at its height, the C library keeps: whether it grows, a later time shows.
            for _ in range(4 if flood in (connects, resets, half_open, slow_loris) else 0):
                flood()
                settle(child.pid, before[1])
            memory = state(child.pid)[0]
            flood()
            after = settle(child.pid, before[1])
            print(f"| {name} | {memory}, {after[0]} | {before[1]}, {after[1]} |", flush=True)
        assert child.poll() is None, "the server has ended"
    finally:
        child.kill()


if __name__ == "__main__":
    main()
