//! What works in a profile's options, and is probably not meant.

use openssl::asn1::Asn1Time;
use openssl::nid::Nid;
use openssl::x509::{X509, X509Ref, X509VerifyResult};

use crate::error::{ProfileError, Warning};
use crate::method::Method;
use crate::own::Own;
use crate::profile_config::ProfileConfig;

/// What an operator should know about the versions.
pub(crate) fn about_old_tls(method: Method, level: Option<u32>) -> Option<Warning> {
    match level {
        Some(level) if level > 0 && method.is_old() => Some(Warning::OldTlsBarred(level)),
        _ if method.is_old() => Some(Warning::OldTls),
        Some(0) if method == Method::Any => Some(Warning::OldTls),
        Some(0) => Some(Warning::LevelZero),
        _ => None,
    }
}

/// What works but is probably not meant.
pub(crate) fn questions(
    config: &ProfileConfig,
    presented: &[Own],
    own_client: Option<&Own>,
    trusted: &[X509],
) -> Result<Vec<Warning>, ProfileError> {
    let mut warnings = Vec::new();
    for own in presented.iter().chain(own_client) {
        let Some(certificate) = own.chain.first() else {
            continue;
        };
        warnings.extend(validity(certificate)?);
        warnings.extend(weakness(certificate)?.map(Warning::WeakCertificate));
        warnings.extend(gap(own, trusted));
    }
    if (config.verify_server || config.verify_client)
        && trusted.is_empty()
        && config.ca_list_path.is_none()
    {
        warnings.push(Warning::NothingTrusted);
    }
    if config.require_client_cert && !config.verify_client {
        warnings.push(Warning::AnyClientCertificate);
    }
    if let Some(path) = &config.ca_list_path {
        let hashed = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| {
                let name = entry.file_name();
                let bytes = name.as_encoded_bytes();
                bytes.len() >= 10
                    && bytes[8] == b'.'
                    && bytes[..8].iter().all(u8::is_ascii_hexdigit)
            });
        if !hashed {
            warnings.push(Warning::NotHashed);
        }
    }
    Ok(warnings)
}

/// What a peer misses in a chain, as far as it can be told here: a certificate that does not belong to the one before it, or the
/// intermediate one of a CA that says where it is to be had, which public CAs do and private ones do not.
fn gap(own: &Own, trusted: &[X509]) -> Option<Warning> {
    let issued = |issuer: &X509, of: &X509| issuer.issued(of) == X509VerifyResult::OK;
    let file = || own.file.display().to_string();
    let broken = own.chain.windows(2).any(|pair| !issued(&pair[1], &pair[0]));
    if broken {
        return Some(Warning::ChainBroken(file()));
    }
    let [alone] = own.chain.as_slice() else {
        return None;
    };
    let is_known = issued(alone, alone) || trusted.iter().any(|ca| issued(ca, alone));
    let says_where = alone.authority_info().is_some_and(|info| {
        info.iter()
            .any(|it| it.method().nid() == Nid::AD_CA_ISSUERS)
    });
    (says_where && !is_known).then(|| Warning::ChainAlone(file()))
}

/// A certificate's key and signature, if either is weaker than 112 bits, the level that OpenSSL's distributors set (NIST SP 800-131A).
fn weakness(certificate: &X509Ref) -> Result<Option<String>, ProfileError> {
    const ENOUGH: u32 = 112;
    let key = certificate.public_key()?;
    let mut what = Vec::new();
    if key.security_bits() < ENOUGH {
        what.push(format!("a key of {} bits", key.bits()));
    }
    let signature = certificate.signature_algorithm().object().nid();
    let digest = signature.signature_algorithms().map(|pair| pair.digest);
    if let Some(digest @ (Nid::MD5 | Nid::SHA1)) = digest {
        what.push(format!("signed with {}", digest.short_name()?));
    }
    Ok((!what.is_empty()).then(|| what.join(", ")))
}

fn validity(certificate: &X509Ref) -> Result<Option<Warning>, ProfileError> {
    let now = Asn1Time::days_from_now(0)?;
    Ok(if certificate.not_after() < now {
        Some(Warning::Expired)
    } else if certificate.not_before() > now {
        Some(Warning::NotYetValid)
    } else {
        None
    })
}
