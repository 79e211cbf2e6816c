//! SIP over TLS without any host: profiles, handshakes, verification, framing.
