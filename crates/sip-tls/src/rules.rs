//! What a profile asks of a peer's certificate, beside what OpenSSL does.

use std::fmt;
use std::sync::Arc;

use openssl::hash::{MessageDigest, hash};
use openssl::x509::{X509, X509Ref};

use crate::cert_info::CertInfo;
use crate::verify::PeerName;

/// The SHA-256 of a certificate, or of its public key (`SubjectPublicKeyInfo`, as RFC 7469 2.4 has it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Reads `SHA256:` and 64 hexadecimal digits, with or without a colon behind each pair.
    #[must_use]
    pub fn parse(text: &str) -> Option<Pin> {
        const HEAD: usize = "SHA256:".len();
        let head = text.get(..HEAD)?;
        if !head.eq_ignore_ascii_case("SHA256:") {
            return None;
        }
        let digits = &text[HEAD..];
        let pairs: Vec<&str> = if digits.contains(':') {
            digits.split(':').collect()
        } else {
            let pairs = (0..digits.len()).step_by(2);
            pairs
                .map(|at| digits.get(at..at + 2).unwrap_or_default())
                .collect()
        };
        let octet = |pair: &str| {
            let is_pair = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_pair.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        };
        let octets: Option<Vec<u8>> = pairs.into_iter().map(octet).collect();
        octets?.try_into().ok().map(Pin)
    }

    /// Whether it is this certificate's, or its key's.
    #[must_use]
    pub fn is_of(self, certificate: &X509Ref) -> bool {
        let whole = certificate.digest(MessageDigest::sha256());
        if whole.is_ok_and(|digest| *digest == self.0) {
            return true;
        }
        let key = certificate
            .public_key()
            .and_then(|key| key.public_key_to_der())
            .and_then(|der| hash(MessageDigest::sha256(), &der));
        key.is_ok_and(|digest| *digest == self.0)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA256:")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// What a profile asks of a peer in one direction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// The profile's name, if it is one of `ciphertrunk.conf`.
    pub(crate) profile: Option<Arc<str>>,
    /// Whether a fault ends the handshake.
    pub(crate) enforce: bool,
    /// A `*.` stands for a first label.
    pub(crate) wildcards: bool,
    /// The certificate is to be for one of these, in the place of the name that was asked for.
    pub(crate) names: Vec<PeerName>,
    /// A certificate for clients will do for a server, and the other way round.
    pub(crate) any_eku: bool,
    /// The certificate, or its key, is one of these. None: it may be any. This holds whatever `enforce` says.
    pub(crate) pins: Vec<Pin>,
    /// Our certificates, of which one is presented.
    pub(crate) own: Vec<(X509, Arc<CertInfo>)>,
}

impl Rules {
    /// Whether a certificate, or none, is one that is pinned.
    pub(crate) fn has_pinned(&self, certificate: Option<&X509Ref>) -> bool {
        self.pins.is_empty()
            || certificate
                .is_some_and(|certificate| self.pins.iter().any(|pin| pin.is_of(certificate)))
    }

    /// What there is to say of the certificate that we presented, or would have.
    pub(crate) fn presented(&self, certificate: Option<&X509Ref>) -> Option<&Arc<CertInfo>> {
        let same = certificate.and_then(|certificate| {
            let mut own = self.own.iter();
            own.find(|(own, _)| **own == *certificate)
        });
        same.or(self.own.first()).map(|(_, info)| info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins() {
        let digits = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
        let plain = format!("SHA256:{digits}");
        let pin = Pin::parse(&plain).unwrap();
        assert_eq!(
            pin.to_string(),
            plain.replace("AABBCCDDEEFF", "aabbccddeeff")
        );
        let pairs: Vec<&str> = (0..32).map(|at| &digits[2 * at..2 * at + 2]).collect();
        let colons = format!("sha256:{}", pairs.join(":"));
        assert_eq!(Pin::parse(&colons), Some(pin));
        for bad in [
            digits.to_owned(),
            format!("SHA1:{digits}"),
            plain[..plain.len() - 1].to_owned(),
            format!("{plain}00"),
            format!("{plain}0"),
            plain.replace("00", "+0"),
            plain.replace("00", "0g"),
            "SHA256:".to_owned(),
            "é".to_owned(),
        ] {
            assert_eq!(Pin::parse(&bad), None, "{bad}");
        }
    }
}
