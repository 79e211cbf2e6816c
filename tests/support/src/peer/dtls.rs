//! DTLS-SRTP (RFC 5764), the client's side, by OpenSSL.

use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{HandshakeError, Ssl, SslContext, SslMethod};
use openssl::x509::{X509, X509Name};

use super::srtp::{AES_80, Key};
use crate::wait::SOON;

/// How long a flight is waited for before the last one may be sent again (RFC 6347 section 4.2.4.1); in all, until it hangs.
const FLIGHT: Duration = Duration::from_millis(1100);

/// Octets of the suite's master key and master salt (RFC 5764 section 4.1.2).
const KEY: usize = 16;
const SALT: usize = 14;

/// Who the client is: a key and a certificate of its own making, which the description names by its fingerprint.
#[derive(Debug)]
pub struct Identity {
    key: PKey<Private>,
    certificate: X509,
}

impl Default for Identity {
    fn default() -> Self {
        Self::make().expect("OpenSSL makes a certificate")
    }
}

impl Identity {
    fn make() -> Result<Self, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
        let mut name = X509Name::builder()?;
        name.append_entry_by_text("CN", "phone")?;
        let name = name.build();
        let mut certificate = X509::builder()?;
        certificate.set_version(2)?;
        certificate.set_serial_number(&*BigNum::from_u32(1)?.to_asn1_integer()?)?;
        certificate.set_subject_name(&name)?;
        certificate.set_issuer_name(&name)?;
        certificate.set_not_before(&*Asn1Time::days_from_now(0)?)?;
        certificate.set_not_after(&*Asn1Time::days_from_now(2)?)?;
        certificate.set_pubkey(&key)?;
        certificate.sign(&key, MessageDigest::sha256())?;
        Ok(Self {
            key,
            certificate: certificate.build(),
        })
    }

    /// The `a=fingerprint` value (RFC 8122).
    pub fn fingerprint(&self) -> String {
        let digest = self.certificate.digest(MessageDigest::sha256());
        let octets: Vec<String> = digest
            .expect("OpenSSL has SHA-256")
            .iter()
            .map(|octet| format!("{octet:02X}"))
            .collect();
        format!("SHA-256 {}", octets.join(":"))
    }
}

/// Shakes hands with whom `socket` is connected to. The keys that this side and the other one send with.
pub fn shake_hands(socket: &UdpSocket, identity: &Identity) -> (Key, Key) {
    let ssl = ssl(identity).expect("OpenSSL has DTLS-SRTP");
    socket
        .set_read_timeout(Some(FLIGHT))
        .expect("a timeout of a socket");
    let mut outcome = ssl.connect(Datagrams(socket));
    let end = Instant::now() + SOON;
    while Instant::now() < end {
        match outcome {
            // A flight did not come: OpenSSL sends its own again.
            Err(HandshakeError::WouldBlock(unfinished)) => outcome = unfinished.handshake(),
            _ => break,
        }
    }
    let stream = outcome.unwrap_or_else(|error| panic!("the DTLS handshake failed: {error}"));
    let ssl = stream.ssl();
    let profile = ssl.selected_srtp_profile().map(|profile| profile.name());
    assert_eq!(profile, Some("SRTP_AES128_CM_SHA1_80"));
    let mut material = [0; 2 * (KEY + SALT)];
    ssl.export_keying_material(&mut material, "EXTRACTOR-dtls_srtp", None)
        .expect("a finished handshake");
    // RFC 5764 section 4.2: the client's key, the server's, the client's salt, the server's.
    let (keys, salts) = material.split_at(2 * KEY);
    let key_of = |side: usize| Key {
        suite: AES_80,
        key_salt: [&keys[side * KEY..][..KEY], &salts[side * SALT..][..SALT]].concat(),
        mki: None,
    };
    (key_of(0), key_of(1))
}

fn ssl(identity: &Identity) -> Result<Ssl, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::dtls_client())?;
    context.set_certificate(&identity.certificate)?;
    context.set_private_key(&identity.key)?;
    context.set_tlsext_use_srtp("SRTP_AES128_CM_SHA1_80")?;
    Ssl::new(&context.build())
}

/// A datagram for each read and each write.
#[derive(Debug)]
struct Datagrams<'a>(&'a UdpSocket);

impl Read for Datagrams<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }
}

impl Write for Datagrams<'_> {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.0.send(datagram)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
