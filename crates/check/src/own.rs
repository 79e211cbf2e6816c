//! Our own files: judged as the module would judge the same options of a transport.

use sip_tls::{Profile, ProfileConfig, Warning};

use crate::code::Code;
use crate::options::Options;
use crate::report::{Finding, Stage, Step};

/// Loads them; `false` if they cannot be used.
pub(crate) fn look(options: &Options) -> (Step, bool) {
    let mut step = Step::new(Stage::Own);
    if options.ca.is_none() && options.cert.is_none() {
        return (
            Step::not_tried(
                Stage::Own,
                "neither --ca nor --cert was given: the system's CAs are trusted",
            ),
            true,
        );
    }
    let config = ProfileConfig {
        cert_file: options.cert.clone(),
        priv_key_file: options.key.clone(),
        ca_list_file: options.ca.clone(),
        ..ProfileConfig::default()
    };
    match Profile::load(&config) {
        Ok((profile, warnings)) => {
            if let Some(own) = profile.own_certificate() {
                step.fact(format!(
                    "our certificate: {}, issuer {}",
                    own.names().join(", "),
                    own.issuer.info
                ));
            }
            for warning in warnings
                .into_iter()
                .filter(|warning| !matches!(warning, Warning::CannotListen))
            {
                let code = match warning {
                    Warning::Expired | Warning::NotYetValid => Code::OwnFiles,
                    _ => Code::OwnFilesDoubt,
                };
                step.add(Finding::new(code, warning.to_string()));
            }
            (step, true)
        }
        Err(error) => {
            step.add(Finding::new(Code::OwnFiles, error.to_string()));
            (step, false)
        }
    }
}
