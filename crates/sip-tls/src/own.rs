//! Our certificates, their chains and keys.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::SslContextBuilder;
use openssl::stack::Stack;
use openssl::x509::X509;

use crate::cert_info::CertInfo;
use crate::error::{ConfigOption, Fault, ProfileError};
use crate::key_uri::{self, KeyUri};
use crate::ossl_ext::{is_too_weak, use_certificate};
use crate::pem::{self, Held};
use crate::profile_config::ProfileConfig;

/// The files of a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// In PEM form, followed by its chain.
    pub cert_file: PathBuf,
    /// Its key, a file or a [`KeyUri`]; without it the key is looked for in `cert_file`.
    pub priv_key_file: Option<PathBuf>,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.priv_key_file.as_deref().map(key_uri::shown);
        f.debug_struct("KeyPair")
            .field("cert_file", &self.cert_file)
            .field("priv_key_file", &key)
            .finish()
    }
}

/// A certificate that has been read.
pub(crate) struct Own {
    /// It and those that lead to its CA, in this order.
    pub(crate) chain: Vec<X509>,
    pub(crate) info: Arc<CertInfo>,
    pub(crate) file: PathBuf,
    option: ConfigOption,
    key: PKey<Private>,
    /// The key is a token's or TPM's, and not in our memory.
    pub(crate) is_in_token: bool,
}

/// What is presented to clients, the first one first.
pub(crate) fn of_server(config: &ProfileConfig) -> Result<Vec<Own>, ProfileError> {
    let first = config.cert_file.clone().map(|cert_file| KeyPair {
        cert_file,
        priv_key_file: config.priv_key_file.clone(),
    });
    let options = (ConfigOption::CertFile, ConfigOption::PrivKeyFile);
    let pairs = first.iter().chain(&config.more_certificates);
    let all: Vec<Own> = pairs
        .map(|pair| Own::read(pair, options, config))
        .collect::<Result<_, _>>()?;
    for (at, own) in all.iter().enumerate() {
        if all[..at].iter().any(|other| other.key.id() == own.key.id()) {
            let file = Some(own.file.clone());
            return Err(ProfileError::new(options.0, file, Fault::SameKeyType));
        }
    }
    Ok(all)
}

/// What is presented to servers, if it is not the same.
pub(crate) fn of_client(config: &ProfileConfig) -> Result<Option<Own>, ProfileError> {
    let options = (
        ConfigOption::ClientCertFile,
        ConfigOption::ClientPrivKeyFile,
    );
    let pair = config.client_certificate.as_ref();
    pair.map(|pair| Own::read(pair, options, config))
        .transpose()
}

impl Own {
    fn read(
        pair: &KeyPair,
        (cert_option, key_option): (ConfigOption, ConfigOption),
        config: &ProfileConfig,
    ) -> Result<Own, ProfileError> {
        let chain = pem::certificates(cert_option, &pair.cert_file)?;
        let fault = |fault| ProfileError::new(cert_option, Some(pair.cert_file.clone()), fault);
        let Some(certificate) = chain.first() else {
            return Err(fault(Fault::NoCertificate));
        };
        let (option, file) = match &pair.priv_key_file {
            Some(file) => (key_option, file),
            None => (cert_option, &pair.cert_file),
        };
        let public = certificate
            .public_key()
            .map_err(|stack| fault(Fault::BadCertificate).because(stack))?;
        let password = config.password.as_ref();
        let held = match KeyUri::of(file) {
            Some(uri) => Held::Elsewhere(uri),
            None => pem::private_key(option, file, password.map(|it| it.as_str()))?,
        };
        let (is_in_token, key) = match held {
            Held::Key(key) => (false, key),
            Held::Tpm(key) => (true, key),
            Held::Elsewhere(uri) => {
                let key = config
                    .token_keys
                    .find((option, file), &uri, password, &public)?;
                (true, key)
            }
        };
        if !key.public_eq(&public) {
            return Err(ProfileError::new(
                option,
                Some(file.clone()),
                Fault::KeyMismatch,
            ));
        }
        Ok(Own {
            info: Arc::new(CertInfo::of(certificate)?),
            file: pair.cert_file.clone(),
            option: cert_option,
            chain,
            key,
            is_in_token,
        })
    }

    /// Puts it into a context.
    pub(crate) fn present(&self, context: &mut SslContextBuilder) -> Result<(), ProfileError> {
        let refused = |stack: ErrorStack| {
            let fault = if is_too_weak(&stack) {
                Fault::TooWeak
            } else {
                Fault::Refused
            };
            ProfileError::new(self.option, Some(self.file.clone()), fault).because(stack)
        };
        let Some((certificate, rest)) = self.chain.split_first() else {
            return Ok(());
        };
        let mut chain = Stack::new()?;
        for certificate in rest {
            chain.push(certificate.clone())?;
        }
        use_certificate(context, certificate, &self.key, &chain).map_err(refused)
    }

    /// For the rules of a connection.
    pub(crate) fn told(&self) -> (X509, Arc<CertInfo>) {
        (self.chain[0].clone(), Arc::clone(&self.info))
    }
}
