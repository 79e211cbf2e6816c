//! What a certificate says, as plain values: enough for PJSIP's `pj_ssl_cert_info` and for a log line.

use std::fmt::Write;
use std::net::IpAddr;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::x509::{X509NameRef, X509Ref};

use crate::ossl_ext::has_alt_names;
use crate::verify::sip_host;

/// A subject or issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name {
    /// The first common name; empty if there is none.
    pub cn: String,
    /// All parts, written as `X509_NAME_oneline` does: `/C=DE/O=Carrier/CN=sip.example.com`.
    pub info: String,
}

/// An entry of the subjectAltName extension (RFC 5280 4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AltName {
    /// `dNSName`
    Dns(String),
    /// `uniformResourceIdentifier`
    Uri(String),
    /// `iPAddress`
    Ip(IpAddr),
    /// `rfc822Name`
    Email(String),
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertInfo {
    /// 1 or 3.
    pub version: u32,
    /// The serial number, big-endian, without leading zeros.
    pub serial: Vec<u8>,
    /// Whose it is.
    pub subject: Name,
    /// Who signed it.
    pub issuer: Name,
    /// Start of its validity, in seconds since 1970 UTC.
    pub not_before: i64,
    /// End of its validity, in seconds since 1970 UTC.
    pub not_after: i64,
    /// Whether it has a subjectAltName extension, be it without a name that we know, or one that cannot be read.
    pub has_alt_names: bool,
    /// The names in it.
    pub alt_names: Vec<AltName>,
    /// SHA-256 of its DER form.
    pub sha256: [u8; 32],
    /// The certificate itself.
    pub pem: String,
}

impl CertInfo {
    /// Every name of a host or domain that it has, as text: those of its subjectAltName extension, of a SIP URI without a user its host,
    /// and the subject's common name where there is no such extension (RFC 5922 section 7.1).
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        if !self.has_alt_names {
            return vec![self.subject.cn.clone()];
        }
        let name = |name: &AltName| match name {
            AltName::Dns(name) => Some(name.clone()),
            AltName::Uri(uri) => sip_host(uri).map(str::to_owned),
            AltName::Ip(address) => Some(address.to_string()),
            AltName::Email(_) => None,
        };
        self.alt_names.iter().filter_map(name).collect()
    }

    /// Reads a certificate.
    ///
    /// # Errors
    /// OpenSSL's, if a part cannot be decoded.
    pub fn of(certificate: &X509Ref) -> Result<CertInfo, ErrorStack> {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(&certificate.digest(MessageDigest::sha256())?);
        let alt_names = certificate.subject_alt_names();
        if alt_names.is_none() {
            // Why they cannot be read would be taken for the fault of a handshake that waits for more.
            drop(ErrorStack::get());
        }
        Ok(CertInfo {
            version: certificate.version().unsigned_abs() + 1,
            serial: certificate.serial_number().to_bn()?.to_vec(),
            subject: name(certificate.subject_name()),
            issuer: name(certificate.issuer_name()),
            not_before: unix_time(certificate.not_before())?,
            not_after: unix_time(certificate.not_after())?,
            has_alt_names: has_alt_names(certificate),
            alt_names: alt_names.iter().flatten().filter_map(alt_name).collect(),
            sha256,
            pem: String::from_utf8_lossy(&certificate.to_pem()?).into_owned(),
        })
    }
}

fn alt_name(entry: &openssl::x509::GeneralNameRef) -> Option<AltName> {
    if let Some(name) = entry.dnsname() {
        return Some(AltName::Dns(name.to_owned()));
    }
    if let Some(uri) = entry.uri() {
        return Some(AltName::Uri(uri.to_owned()));
    }
    if let Some(email) = entry.email() {
        return Some(AltName::Email(email.to_owned()));
    }
    let bytes = entry.ipaddress()?;
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(AltName::Ip(four.into()));
    }
    <[u8; 16]>::try_from(bytes)
        .ok()
        .map(|sixteen| AltName::Ip(sixteen.into()))
}

fn name(name: &X509NameRef) -> Name {
    let mut info = String::new();
    for entry in name.entries() {
        let object = entry.object();
        match object.nid() {
            Nid::UNDEF => write!(info, "/{object}="),
            nid => write!(info, "/{}=", nid.short_name().unwrap_or("?")),
        }
        .expect("writing to a String cannot fail");
        for &byte in entry.data().as_slice() {
            match byte {
                b' '..=b'~' => info.push(byte.into()),
                _ => write!(info, "\\x{byte:02X}").expect("writing to a String cannot fail"),
            }
        }
    }
    let cn = name
        .entries_by_nid(Nid::COMMONNAME)
        .next()
        .and_then(|entry| entry.data().to_string().ok());
    Name {
        cn: cn.unwrap_or_default(),
        info,
    }
}

fn unix_time(time: &Asn1TimeRef) -> Result<i64, ErrorStack> {
    let since = Asn1Time::from_unix(0)?.diff(time)?;
    Ok(i64::from(since.days) * 86_400 + i64::from(since.secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_verification_compares() {
        let info = |alt_names: Vec<AltName>| CertInfo {
            version: 3,
            serial: vec![1],
            subject: Name {
                cn: "common.example".to_owned(),
                info: String::new(),
            },
            issuer: Name::default(),
            not_before: 0,
            not_after: 0,
            has_alt_names: !alt_names.is_empty(),
            alt_names,
            sha256: [0; 32],
            pem: String::new(),
        };
        let uri = |text: &str| AltName::Uri(text.to_owned());
        let names = info(vec![
            AltName::Dns("a.example".to_owned()),
            uri("sip:b.example"),
            uri("sip:user@c.example"),
            AltName::Email("d@example".to_owned()),
            AltName::Ip("192.0.2.1".parse().expect("an address")),
        ])
        .names();
        assert_eq!(names, ["a.example", "b.example", "192.0.2.1"]);
        assert_eq!(info(Vec::new()).names(), ["common.example"]);
    }
}
