"""A SIP server on GnuTLS, by its shared library: gnutls_sip.py PORT CERT KEY [PRIORITY]."""
import ctypes
import re
import socket
import sys
import threading

lib = ctypes.CDLL("libgnutls.so.30")
port, cert, key = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode()
priority = (sys.argv[4] if len(sys.argv) > 4 else "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1").encode()
SERVER, CRD_CERTIFICATE, PEM = 1, 1, 1
lib.gnutls_record_recv.restype = ctypes.c_ssize_t
lib.gnutls_record_send.restype = ctypes.c_ssize_t
lib.gnutls_transport_set_int2.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
credentials = ctypes.c_void_p()
assert lib.gnutls_certificate_allocate_credentials(ctypes.byref(credentials)) == 0
assert lib.gnutls_certificate_set_x509_key_file(credentials, cert, key, PEM) == 0
class Datum(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_uint)]
ticket_key = Datum()
assert lib.gnutls_session_ticket_key_generate(ctypes.byref(ticket_key)) == 0

def serve(connection):
    session = ctypes.c_void_p()
    lib.gnutls_init(ctypes.byref(session), SERVER)
    lib.gnutls_priority_set_direct(session, priority, None)
    lib.gnutls_credentials_set(session, CRD_CERTIFICATE, credentials)
    lib.gnutls_session_ticket_enable_server(session, ctypes.byref(ticket_key))
    lib.gnutls_transport_set_int2(session, connection.fileno(), connection.fileno())
    while (status := lib.gnutls_handshake(session)) < 0:
        if lib.gnutls_error_is_fatal(status):
            lib.gnutls_alert_send_appropriate(session, status)
            connection.close()
            return
    text, buffer = b"", ctypes.create_string_buffer(4096)
    while (count := lib.gnutls_record_recv(session, buffer, 4096)) > 0:
        text += buffer.raw[:count]
        while b"\r\n\r\n" in text:
            request, text = text.split(b"\r\n\r\n", 1)
            answer = b"\r\n"
            if request:
                fields = dict(re.findall(rb"(?m)^([\w-]+): *(.*?)\r?$", request))
                lines = [b"SIP/2.0 200 OK"] + [name + b": " + fields[name] for name in (b"Via", b"From", b"To", b"Call-ID", b"CSeq")]
                answer = b"\r\n".join(lines + [b"Server: GnuTLS", b"Content-Length: 0", b"", b""])
            lib.gnutls_record_send(session, answer, len(answer))
    lib.gnutls_bye(session, 1)
    connection.close()

with socket.create_server(("127.0.0.1", port)) as listener:
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
