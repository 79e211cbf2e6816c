//! What to write into `pjsip.conf` and `ciphertrunk.conf`.

use std::path::Path;

use openssl::ssl::SslVersion;
use sip_tls::KeyUri;
use srtp::Suite;

use crate::code::Code;
use crate::options::Options;
use crate::report::{Report, Stage};
use crate::tls::version_name;

/// The lines; none where nothing is known that could be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// For `pjsip.conf`.
    pub pjsip: Vec<String>,
    /// For `ciphertrunk.conf`: the endpoint.
    pub ciphertrunk: Vec<String>,
    /// For `ciphertrunk.conf`: a TLS profile, where the peer needs what the others on the transport should not get.
    pub profile: Vec<String>,
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
            profile: profile(options, report),
        }
    }

    /// All of `ciphertrunk.conf`.
    #[must_use]
    pub fn of_ciphertrunk(&self) -> Vec<String> {
        let parts = [&self.profile[..], &self.ciphertrunk];
        let parts: Vec<&[String]> = parts.into_iter().filter(|it| !it.is_empty()).collect();
        parts.join(&[String::new()][..])
    }
}

/// Whole: Asterisk has another folder. The URI of a key as Asterisk reads it, to which a `;` begins a comment, without its PIN.
pub(crate) fn shown(path: &Path) -> String {
    if let Some(uri) = KeyUri::of(path) {
        return uri.to_string().replace(';', "\\;");
    }
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
    if options.tls.cert_file.is_some() || has(Code::ClientCertificateDemanded) {
        lines.push(format!(
            "cert_file = {}",
            path(&options.tls.cert_file, "/etc/asterisk/keys/fullchain.pem")
        ));
        lines.push(format!(
            "priv_key_file = {}",
            path(
                &options.tls.priv_key_file,
                &path(&options.tls.cert_file, "/etc/asterisk/keys/privkey.pem")
            )
        ));
    }
    match &options.tls.ca_list_file {
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
    lines.push("method = tlsv1_2".to_owned());
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

/// What this peer alone is to get: on the transport all others would get it too.
fn profile(options: &Options, report: &Report) -> Vec<String> {
    let detail = |code| {
        let mut findings = report.findings();
        let found = findings.find(|(_, finding)| finding.code == code);
        found.map(|(_, finding)| finding.detail.as_str())
    };
    let mut lines = Vec::new();
    if let Some(version) = detail(Code::OnlyOldTls) {
        let is_first = version != version_name(SslVersion::TLS1_1);
        let word = if is_first { "tls1.0" } else { "tls1.1" };
        lines.push(format!("min_version = {word}"));
    }
    if let Some(cipher) = detail(Code::OnlyOldCiphers).or(detail(Code::OwnCipher)) {
        lines.push(format!("cipher = {cipher}"));
    }
    if report.has(Code::OnlyWeakCiphers) {
        lines.push("cipher = ALL".to_owned());
        lines.push("security_level = 0".to_owned());
    }
    if report.has(Code::NameByWildcard) {
        lines.push("allow_wildcard_certs = yes".to_owned());
    }
    if lines.is_empty() {
        return lines;
    }
    let mut section = match &options.tls.name {
        Some(name) => vec![
            "; to the lines of the section that is there".to_owned(),
            format!("[{name}]"),
        ],
        None => vec![
            format!("[{}-tls]", section(options.name())),
            "type = tls".to_owned(),
            format!("match = {}", options.name()),
        ],
    };
    section.append(&mut lines);
    section
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
