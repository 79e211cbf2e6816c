//! Our own files: judged as the module would judge the same options of a transport.

use std::path::Path;

use openssl::x509::{X509, X509ExtendedKeyUsage};
use sip_tls::{Profile, Warning};

use crate::code::Code;
use crate::options::Options;
use crate::report::{Finding, Stage, Step};

/// Loads them; `false` if they cannot be used.
pub(crate) fn look(options: &Options) -> (Step, bool) {
    let mut step = Step::new(Stage::Own);
    let config = &options.tls;
    if options.system_cas && !options.names_cas() && config.cert_file.is_none() {
        step.not_tried = Some(
            "neither CAs nor a certificate were given: the system's CAs are trusted".to_owned(),
        );
    }
    match Profile::load(config) {
        Ok((profile, warnings)) => {
            if let Some(own) = profile.own_certificate() {
                step.fact(format!(
                    "our certificate: {}, issuer {}",
                    own.names().join(", "),
                    own.issuer.info
                ));
            }
            for warning in warnings {
                let code = match warning {
                    Warning::CannotListen => continue,
                    Warning::NothingTrusted if options.system_cas => continue,
                    Warning::NothingTrusted => Code::OwnFiles,
                    Warning::Expired | Warning::NotYetValid => Code::OwnFiles,
                    _ => Code::OwnFilesDoubt,
                };
                step.add(Finding::new(code, warning.to_string()));
            }
            let to_servers = match &config.client_certificate {
                Some(pair) => Some(&pair.cert_file),
                None => config.cert_file.as_ref(),
            };
            if let Some(cert) = to_servers
                && !is_for_clients(cert)
            {
                step.add(Finding::new(Code::OwnNotForClients, ""));
            }
            if !config.verify_server {
                step.add(Finding::new(Code::OwnNotVerifying, ""));
            }
            (step, true)
        }
        Err(error) => {
            step.add(Finding::new(Code::OwnFiles, error.to_string()));
            (step, false)
        }
    }
}

/// Whether the certificate's extended key usage, if it has one, allows clients.
fn is_for_clients(file: &Path) -> bool {
    let chain = std::fs::read(file)
        .ok()
        .map(|pem| X509::stack_from_pem(&pem));
    let Some(Ok(chain)) = chain else {
        return true;
    };
    let usage = chain.first().and_then(|own| own.extended_key_usage());
    usage.is_none_or(|usage| {
        usage.intersects(X509ExtendedKeyUsage::SSL_CLIENT | X509ExtendedKeyUsage::ANYEKU)
    })
}
