//! SRTP and SRTCP sessions (RFC 3711, 6188, 7714) and SDES (RFC 4568): bytes in, bytes out.
