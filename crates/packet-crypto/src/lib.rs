//! Packet-crypto kernels for SRTP: AES-CM with HMAC-SHA1, and AES-GCM.
