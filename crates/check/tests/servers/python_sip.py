"""A SIP server on Python's ssl: python_sip.py PORT CERT KEY. It wants a login, as a registrar does."""
import re
import socket
import ssl
import sys
import threading

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])


def serve(connection):
    try:
        stream = context.wrap_socket(connection, server_side=True)
        text = b""
        while data := stream.recv(4096):
            text += data
            while b"\r\n\r\n" in text:
                request, text = text.split(b"\r\n\r\n", 1)
                if not request:
                    stream.sendall(b"\r\n")
                    continue
                fields = dict(re.findall(rb"(?m)^([\w-]+): *(.*?)\r?$", request))
                lines = [b"SIP/2.0 401 Unauthorized"]
                lines += [name + b": " + fields[name] for name in (b"Via", b"From", b"To", b"Call-ID", b"CSeq")]
                lines += [b'WWW-Authenticate: Digest realm="r", nonce="n"', b"Content-Length: 0", b"", b""]
                stream.sendall(b"\r\n".join(lines))
    except OSError:
        pass
    finally:
        connection.close()


with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
