//! What to write into `pjsip.conf` and `ciphertrunk.conf`.

use std::path::Path;

use srtp::Suite;

use crate::code::Code;
use crate::options::Options;
use crate::report::{Report, Stage};

/// The lines; none where nothing is known that could be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// For `pjsip.conf`.
    pub pjsip: Vec<String>,
    /// For `ciphertrunk.conf`.
    pub ciphertrunk: Vec<String>,
}

impl Lines {
    pub(crate) fn of(options: &Options, report: &Report, answered: bool, taken: &[Suite]) -> Lines {
        let tls = report.steps.iter().find(|step| step.stage == Stage::Tls);
        if tls.is_none_or(|step| step.facts.is_empty()) {
            return Lines::default();
        }
        Lines {
            pjsip: pjsip(options, report, answered),
            ciphertrunk: ciphertrunk(options, report, taken),
        }
    }
}

/// Whole: Asterisk has another folder.
pub(crate) fn shown(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.display().to_string()
}

/// A section's name: the host, without what a name cannot have.
fn section(host: &str) -> String {
    host.replace([':', '[', ']'], "-")
}

fn pjsip(options: &Options, report: &Report, answered: bool) -> Vec<String> {
    let has = |code| report.has(code);
    let mut lines: Vec<String> = [
        "[transport-tls]",
        "type = transport",
        "protocol = tls",
        "bind = 0.0.0.0:5061",
    ]
    .map(str::to_owned)
    .to_vec();
    let path = |path: &Option<std::path::PathBuf>, none: &str| {
        path.as_ref()
            .map_or_else(|| none.to_owned(), |path| shown(path))
    };
    if options.cert.is_some() || has(Code::ClientCertificateDemanded) {
        lines.push(format!(
            "cert_file = {}",
            path(&options.cert, "/etc/asterisk/keys/fullchain.pem")
        ));
        lines.push(format!(
            "priv_key_file = {}",
            path(
                &options.key,
                &path(&options.cert, "/etc/asterisk/keys/privkey.pem")
            )
        ));
    }
    match &options.ca {
        Some(file) => lines.push(format!("ca_list_file = {}", shown(file))),
        None => lines.push("ca_list_path = /etc/ssl/certs".to_owned()),
    }
    if has(Code::ChainUntrusted) || has(Code::Tls(sip_tls::Code::CertSelfSigned)) {
        lines.push(
            "; its CA, or its own certificate, has to be among them first, if it is the right one"
                .to_owned(),
        );
    }
    lines.push("verify_server = yes".to_owned());
    if has(Code::NameByWildcard) {
        lines.push("allow_wildcard_certs = yes".to_owned());
    }
    if has(Code::OnlyOldTls) {
        lines.push("method = tlsv1".to_owned());
    } else {
        lines.push("method = tlsv1_2".to_owned());
    }
    let old = report
        .findings()
        .find(|(_, finding)| finding.code == Code::OnlyOldCiphers);
    if let Some((_, finding)) = old {
        lines.push(format!("cipher = {}", finding.detail));
    }
    if has(Code::OnlyWeakCiphers) {
        lines.push("cipher = ALL,@SECLEVEL=0".to_owned());
    }
    let name = section(options.name());
    // Asterisk compares the certificate with the host of the URI.
    let host = match (&options.name, options.port) {
        (Some(name), Some(port)) => format!("{name}:{port}"),
        (Some(name), None) => name.clone(),
        (None, _) => report.target.clone(),
    };
    let leads = options.name.as_ref().filter(|name| **name != options.host);
    lines.extend([
        String::new(),
        format!("[{name}]"),
        "type = endpoint".to_owned(),
        "transport = transport-tls".to_owned(),
        format!("aors = {name}"),
        "media_encryption = sdes".to_owned(),
        String::new(),
        format!("[{name}]"),
        "type = aor".to_owned(),
    ]);
    if let Some(name) = leads {
        lines.push(format!(
            "; {name} has to lead to {} in the DNS or in /etc/hosts",
            options.host
        ));
    }
    lines.push(format!("contact = sip:{host}\\;transport=tls"));
    if answered {
        lines.push("qualify_frequency = 30".to_owned());
    }
    lines
}

fn ciphertrunk(options: &Options, report: &Report, taken: &[Suite]) -> Vec<String> {
    let mut lines = vec![
        format!("[{}]", section(options.name())),
        "type = endpoint".to_owned(),
    ];
    if report.has(Code::OnlyOldTls) {
        lines.push("require_signaling = yes".to_owned());
    } else {
        lines.push("require_signaling = tls1.2".to_owned());
    }
    if !taken.is_empty() {
        let names: Vec<&str> = taken.iter().map(|suite| suite.name()).collect();
        lines.push(format!("offer = {}", names.join(", ")));
    }
    lines.push("require_media = yes".to_owned());
    lines.push(format!("require_verified = {}", options.name()));
    lines
}
