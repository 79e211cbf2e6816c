"""Ends of connections, made of Python's ssl: each line of the standard input begins one.

    client ACT PORT FILES...
    server ACT FILES...         says its port in a line of the standard output
    go on                       for a client that waits
"""

import ctypes
import socket
import ssl
import struct
import sys
import threading

NAME = "sip.example.com"
OPTIONS = b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nContent-Length: 0\r\n\r\n"
# Connections stay until the program ends.
held = []
go_on = threading.Event()


def reset(end):
    """RST: what is closed without lingering."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()


def vanish(end):
    """A filter that takes no packet (BPF's `ret 0`): nothing is acknowledged any more, as by a machine that is off."""
    SO_ATTACH_FILTER = 26
    program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    described = struct.pack("HP", 1, ctypes.addressof(program))
    end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, described)


def read_all(end):
    while end.recv(65536):
        pass


def of_client(ca=None, name=None, own=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = name is not None
    context.verify_mode = ssl.CERT_REQUIRED if ca or name else ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
    if own:
        context.load_cert_chain(*own)
    return context


def of_server(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # It shows what OpenSSL's defaults would not.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(certificate, key)
    return context


class Pieces:
    """A connection whose octets go by hand."""

    def __init__(self, tcp, context, **more):
        self.tcp, self.to, self.out = tcp, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.to, self.out, **more)

    def send(self):
        self.tcp.sendall(self.out.read())

    def shake(self):
        while True:
            try:
                self.tls.do_handshake()
                return self.send()
            except ssl.SSLWantReadError:
                self.send()
                octets = self.tcp.recv(65536)
                if not octets:
                    raise ConnectionError("closed")
                self.to.write(octets)


def hello():
    pieces = Pieces(None, of_client(), server_hostname=NAME)
    try:
        pieces.tls.do_handshake()
    except ssl.SSLWantReadError:
        return pieces.out.read()


def client(act, port, files):
    tcp = socket.create_connection(("127.0.0.1", port))
    held.append(tcp)

    def shake(context, name=NAME):
        tls = context.wrap_socket(tcp, server_hostname=name)
        held.append(tls)
        return tls

    def up():
        return shake(of_client())

    if act == "silent":
        read_all(tcp)
    elif act == "nothing":
        tcp.close()
    elif act == "storm":
        for _ in range(20):
            held.append(socket.create_connection(("127.0.0.1", port)))
    elif act == "proxy":
        tcp.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + hello())
    elif act == "sip":
        tcp.sendall(OPTIONS)
    elif act == "http":
        tcp.sendall(b"GET / HTTP/1.1\r\n\r\n")
    elif act == "text":
        tcp.sendall(b"hello, is there anybody?")
    elif act in ("half", "half-closed", "half-reset"):
        octets = hello()
        tcp.sendall(octets[: len(octets) // 2])
        if act == "half-closed":
            tcp.close()
        elif act == "half-reset":
            reset(tcp)
    elif act == "damaged":
        octets = bytearray(hello())
        # The kind of the handshake message (RFC 8446 section 4).
        octets[5] = 99
        tcp.sendall(octets)
    elif act == "old":
        context = of_client()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        shake(context)
    elif act == "cipher":
        context = of_client()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AES256-SHA")
        shake(context)
    elif act == "hello":
        shake(of_client())
    elif act == "waits":
        go_on.wait()
        shake(of_client())
    elif act == "own":
        shake(of_client(own=files))
    elif act == "trusts":
        shake(of_client(ca=files[0], name=NAME), name=files[1] if files[1:] else NAME)
    elif act == "close-notify":
        up().unwrap()
    elif act == "eof":
        up().close()
    elif act == "reset":
        reset(up())
    elif act == "midway":
        tls = up()
        # One record: with the answer to what is whole, the rest has been read too.
        tls.sendall(OPTIONS + OPTIONS[:20])
        tls.recv(65536)
        reset(tls)
    elif act in ("damaged-record", "alert"):
        pieces = Pieces(tcp, of_client(), server_hostname=NAME)
        pieces.shake()
        if act == "damaged-record":
            pieces.tls.write(OPTIONS)
            octets = bytearray(pieces.out.read())
            octets[-1] ^= 1
            tcp.sendall(octets)
        else:
            # As if a damaged record had come: its alert is bad_record_mac.
            pieces.to.write(b"\x17\x03\x03\x00\x20" + bytes(32))
            try:
                pieces.tls.read()
            except ssl.SSLError:
                pieces.send()
    elif act == "gone":
        tls = up()
        tls.sendall(OPTIONS)
        tls.recv(65536)
        vanish(tls)
    elif act == "not-sip":
        up().sendall(b"GET / HTTP/1.1\r\n\r\n")
    elif act == "too-long":
        up().sendall(b"OPTIONS sip:a SIP/2.0\r\n" + b"X: y\r\n" * 20000)
    elif act == "filler":
        up().sendall(b"\r\n\0 " * 300000)
    elif act in ("no-length", "bad-length"):
        length = b"l: x\r\n" if act == "bad-length" else b""
        head = b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nc: message/sip\r\n" + length
        # A body whose end is not known: it is not looked for for ever.
        up().sendall(head + b"\r\n" + b"<" * 200000)
    else:
        raise ValueError(act)


def serve(act, listener, files):
    tcp, _ = listener.accept()
    held.append(tcp)
    context = of_server(*files[:2]) if files else None

    def shake():
        tls = context.wrap_socket(tcp, server_side=True)
        held.append(tls)
        return tls

    alerts = {
        "unknown-name": ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME,
        "denied": ssl.ALERT_DESCRIPTION_ACCESS_DENIED,
        "internal": ssl.ALERT_DESCRIPTION_INTERNAL_ERROR,
    }
    if act == "mute":
        read_all(tcp)
    elif act == "close":
        tcp.close()
    elif act in ("sip", "http"):
        tcp.recv(65536)
        version = b"SIP/2.0" if act == "sip" else b"HTTP/1.1"
        tcp.sendall(version + b" 400 Bad Request\r\n\r\n")
        read_all(tcp)
    elif act in alerts:
        context.sni_callback = lambda *_: alerts[act]
        shake()
    elif act == "cipher":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("PSK")
        shake()
    elif act == "old":
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        shake()
    elif act in ("demands", "demands-unrevoked"):
        context.verify_mode = ssl.CERT_REQUIRED
        for file in files[2:]:
            context.load_verify_locations(file)
        if act == "demands-unrevoked":
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        read_all(shake())
    elif act == "leaves":
        # Its tickets have been sent.
        shake().close()
    elif act == "shake":
        read_all(shake())
    else:
        raise ValueError(act)


def run(what, *arguments):
    try:
        what(*arguments)
    except (OSError, ssl.SSLError):
        # The other end refused, which is what it is asked about.
        pass


for line in sys.stdin:
    role, act, *words = line.split()
    if role == "go":
        go_on.set()
        continue
    if role == "server":
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        arguments = (serve, act, listener, words)
    else:
        arguments = (client, act, int(words[0]), words[1:])
    threading.Thread(target=run, args=arguments, daemon=True).start()
