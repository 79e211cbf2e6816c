//! OpenSSL's contexts, of a profile's options: what servers and clients of it share.

use std::ffi::{CString, c_long};
use std::sync::Arc;

use openssl::ssl::{
    SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode, SslOptions,
    SslSessionCacheMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509Lookup;

use crate::cipher::CipherLists;
use crate::error::{ConfigOption, Fault, ProfileError};
use crate::key_log::set_key_log;
use crate::ossl_ext::set_max_cert_list;
use crate::own::Own;
use crate::pem;
use crate::profile_config::ProfileConfig;
use crate::unreadable::Unreadable;

/// The longest certificate chain, in octets, that is taken from a peer. OpenSSL keeps a peer's chain as long as its connection lives,
/// so this is what a client can make us hold per connection. OpenSSL's own limit is 100 KiB. Four certificates with RSA 4096 have about
/// 8 KiB, four with ML-DSA-87 (FIPS 204) about 30.
pub const MAX_CERTIFICATES: usize = 32 * 1024;

/// A text as OpenSSL takes it.
pub(crate) fn text(
    option: ConfigOption,
    text: Option<&str>,
) -> Result<Option<CString>, ProfileError> {
    let text = text.map(CString::new).transpose();
    text.map_err(|_| ProfileError::new(option, None, Fault::UnknownWord("a NUL".to_owned())))
}

/// The certificates of `ca_list_file`.
pub(crate) fn trusted(config: &ProfileConfig) -> Result<Vec<X509>, ProfileError> {
    match &config.ca_list_file {
        Some(file) => pem::certificates(ConfigOption::CaListFile, file),
        None => Ok(Vec::new()),
    }
}

/// A context with these options, before it is finished, that presents `own`.
pub(crate) fn context(
    method: SslMethod,
    config: &ProfileConfig,
    ciphers: &CipherLists,
    trusted: &[X509],
    own: &[Own],
) -> Result<SslContextBuilder, ProfileError> {
    let level = config.security_level.or(ciphers.security_level());
    let mut context = SslContext::builder(method)?;
    common(&mut context, config, level)?;
    ciphers.apply(&mut context)?;
    ciphers.leave_out_old(&mut context, config.method.floor(level))?;
    trust(&mut context, config, trusted)?;
    for own in own {
        own.present(&mut context)?;
    }
    Ok(context)
}

/// What both directions share.
fn common(
    context: &mut SslContextBuilder,
    config: &ProfileConfig,
    level: Option<u32>,
) -> Result<(), ProfileError> {
    // A stricter system policy (openssl.cnf) stands, unless an older version was asked for by name.
    let floor = config.method.floor(level);
    if floor != SslVersion::TLS1_2 || context.min_proto_version() != Some(SslVersion::TLS1_3) {
        context.set_min_proto_version(Some(floor))?;
    }
    if let Some(highest) = config.max_version {
        context.set_max_proto_version(Some(highest.openssl()))?;
    }
    match config.security_level {
        Some(level) => context.set_security_level(level),
        None if config.method.is_old() && level.is_none() => context.set_security_level(0),
        None => {}
    }
    let unknown = |option, text: &str, stack| {
        Err(ProfileError::new(option, None, Fault::UnknownWord(text.to_owned())).because(stack))
    };
    if let Some(groups) = &config.groups
        && let Err(stack) = context.set_groups_list(groups)
    {
        return unknown(ConfigOption::Groups, groups, stack);
    }
    if let Some(algorithms) = &config.signature_algorithms
        && let Err(stack) = context.set_sigalgs_list(algorithms)
    {
        return unknown(ConfigOption::SignatureAlgorithms, algorithms, stack);
    }
    // Idle connections hold no record buffers; a write may go out in parts and from a moved buffer.
    context.set_mode(
        SslMode::RELEASE_BUFFERS
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER,
    );
    // Sessions are resumed by tickets, which the client keeps. OpenSSL's cache would keep a session of each connection that is gone, with
    // the peer's whole chain in it, 20,480 of them for each profile.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    set_max_cert_list(context, MAX_CERTIFICATES as c_long);
    context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE | SslOptions::NO_COMPRESSION);
    if let Some(sink) = &config.key_log {
        set_key_log(context, Arc::clone(sink));
    }
    Ok(())
}

fn trust(
    context: &mut SslContextBuilder,
    config: &ProfileConfig,
    trusted: &[X509],
) -> Result<(), ProfileError> {
    for certificate in trusted {
        context.cert_store_mut().add_cert(certificate.clone())?;
    }
    if let Some(path) = &config.ca_list_path {
        let fault = |fault| ProfileError::new(ConfigOption::CaListPath, Some(path.clone()), fault);
        std::fs::read_dir(path)
            .map_err(|error| fault(Fault::Unreadable(Unreadable::new(path, error))))?;
        let text = path
            .to_str()
            .ok_or_else(|| fault(Fault::UnknownWord(path.display().to_string())))?;
        context
            .cert_store_mut()
            .add_lookup(X509Lookup::hash_dir())?
            .add_dir(text, SslFiletype::PEM)
            .map_err(|stack| fault(Fault::Setup).because(stack))?;
    }
    if let Some(file) = &config.crl_file {
        pem::revocation_lists(file, context.cert_store_mut())?;
    }
    Ok(())
}
