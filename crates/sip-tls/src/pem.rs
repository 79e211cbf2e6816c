//! Certificates and keys from PEM files, never asking anybody for a password.

use std::fs;
use std::path::Path;

use openssl::pkey::{PKey, Private};
use openssl::ssl::SslFiletype;
use openssl::x509::X509;
use openssl::x509::store::{X509Lookup, X509StoreBuilderRef};
use openssl::x509::verify::X509VerifyFlags;
use zeroize::Zeroizing;

use crate::error::{ConfigOption, Fault, ProfileError};
use crate::key_uri::{KeyUri, PKCS11, TPM2, in_der};
use crate::token;
use crate::unreadable::Unreadable;

/// All certificates of a file, in order; at least one.
pub(crate) fn certificates(option: ConfigOption, file: &Path) -> Result<Vec<X509>, ProfileError> {
    let fault = |fault| ProfileError::new(option, Some(file.to_owned()), fault);
    // The file may hold the private key as well.
    let pem = read(option, file)?;
    // OpenSSL would ask on the terminal for an encrypted block's password.
    if blocks(&pem).any(|(label, encrypted)| encrypted && label.ends_with(b"CERTIFICATE")) {
        return Err(fault(Fault::EncryptedCertificate));
    }
    if !blocks(&pem).any(|(label, _)| label.ends_with(b"CERTIFICATE")) {
        return Err(fault(Fault::NoCertificate));
    }
    let certificates =
        X509::stack_from_pem(&pem).map_err(|stack| fault(Fault::BadCertificate).because(stack))?;
    if certificates.is_empty() {
        return Err(fault(Fault::BadCertificate));
    }
    Ok(certificates)
}

/// Where a key is.
pub(crate) enum Held {
    /// Here.
    Key(PKey<Private>),
    /// In a TPM, of which the file has what only that one can open.
    Tpm(PKey<Private>),
    /// Where a URI says.
    Elsewhere(KeyUri),
}

/// The first private key of a file, or what stands for one there.
pub(crate) fn private_key(
    option: ConfigOption,
    file: &Path,
    password: Option<&str>,
) -> Result<Held, ProfileError> {
    let fault = |fault| ProfileError::new(option, Some(file.to_owned()), fault);
    let pem = read(option, file)?;
    let stands_for_a_key =
        |label: &[u8]| label.ends_with(b"PRIVATE KEY") || label == PKCS11.pem_label.as_bytes();
    let Some((label, encrypted)) = blocks(&pem).find(|(label, _)| stands_for_a_key(label)) else {
        return Err(fault(Fault::NoPrivateKey));
    };
    if label == PKCS11.pem_label.as_bytes() {
        let uri = content(&pem, PKCS11.pem_label).and_then(|der| in_der(&der));
        return uri
            .map(Held::Elsewhere)
            .ok_or_else(|| fault(Fault::BadPrivateKey));
    }
    let is_of_tpm = label == TPM2.pem_label.as_bytes();
    if is_of_tpm && let Err(why) = token::is_in_force(TPM2) {
        return Err(fault(Fault::Token(why)));
    }
    if encrypted && password.is_none() {
        return Err(fault(Fault::PasswordNeeded));
    }
    // With a passphrase, be it empty, OpenSSL never asks for one.
    let password = password.unwrap_or_default().as_bytes();
    let key = PKey::private_key_from_pem_passphrase(&pem, password).map_err(|stack| {
        fault(if encrypted {
            Fault::WrongPassword
        } else {
            Fault::BadPrivateKey
        })
        .because(stack)
    });
    key.map(if is_of_tpm { Held::Tpm } else { Held::Key })
}

/// Revocation lists of a file, at least one, into a store, which asks for one from then on.
pub(crate) fn revocation_lists(
    file: &Path,
    store: &mut X509StoreBuilderRef,
) -> Result<(), ProfileError> {
    let fault = |fault| ProfileError::new(ConfigOption::CrlFile, Some(file.to_owned()), fault);
    let pem = read(ConfigOption::CrlFile, file)?;
    if !blocks(&pem).any(|(label, _)| label == b"X509 CRL") {
        return Err(fault(Fault::NoRevocationList));
    }
    store
        .add_lookup(X509Lookup::file())
        .and_then(|lookup| lookup.load_crl_file(file, SslFiletype::PEM))
        .map_err(|stack| fault(Fault::BadRevocationList).because(stack))?;
    Ok(store.set_flags(X509VerifyFlags::CRL_CHECK)?)
}

fn read(option: ConfigOption, file: &Path) -> Result<Zeroizing<Vec<u8>>, ProfileError> {
    fs::read(file).map(Zeroizing::new).map_err(|error| {
        let why = Unreadable::new(file, error);
        ProfileError::new(option, Some(file.to_owned()), Fault::Unreadable(why))
    })
}

/// What the first PEM block with this label holds.
fn content(pem: &[u8], label: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (base64, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let base64: String = base64.split_whitespace().collect();
    openssl::base64::decode_block(&base64).ok()
}

/// The labels of the PEM blocks (RFC 7468), and whether the block is encrypted (PKCS #8, or RFC 1421 `Proc-Type`).
fn blocks(pem: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    let mut lines = pem
        .split(|&byte| byte == b'\n')
        .map(|line| line.trim_ascii())
        .peekable();
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            if let Some(label) = line
                .strip_prefix(b"-----BEGIN ")
                .and_then(|label| label.strip_suffix(b"-----"))
            {
                let proc_type = lines.peek().is_some_and(|next| {
                    next.starts_with(b"Proc-Type:") && next.ends_with(b"ENCRYPTED")
                });
                return Some((label, proc_type || label.starts_with(b"ENCRYPTED ")));
            }
        }
    })
}
