//! What tshark makes of the signalling.

use host_harness::lab::{self, Lab};

/// What a server chose in a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// `TLS 1.3`
    pub version: String,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: String,
}

/// The fields of the frames of a capture that a filter lets through, one line each.
fn tshark(
    lab: &Lab,
    capture: &str,
    options: &[&str],
    filter: &str,
    fields: &[&str],
) -> Vec<String> {
    let file = format!("{}/{capture}", lab::FOLDER);
    let mut args = vec![
        "-r",
        &file,
        "-d",
        "tcp.port==5061,tls",
        "-Y",
        filter,
        "-T",
        "fields",
        "-E",
        "occurrence=l",
    ];
    args.extend(options);
    for field in fields {
        args.extend(["-e", field]);
    }
    lab.must_run("tshark", &args)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The last handshake with the server at `address`.
pub fn chosen(lab: &Lab, capture: &str, address: &str) -> Option<Chosen> {
    let filter = format!("tls.handshake.type == 2 && ip.src == {address} && tcp.srcport == 5061");
    let fields = [
        "tls.handshake.extensions.supported_version",
        "tls.handshake.version",
        "tls.handshake.ciphersuite",
    ];
    let lines = tshark(lab, capture, &[], &filter, &fields);
    let mut words = lines.last()?.split('\t');
    let (supported, legacy, cipher) = (words.next()?, words.next()?, words.next()?);
    // TLS 1.3 says its version in an extension (RFC 8446 section 4.2.1).
    let version = match if supported.is_empty() {
        legacy
    } else {
        supported
    } {
        "0x0304" => "TLS 1.3".to_owned(),
        "0x0303" => "TLS 1.2".to_owned(),
        other => other.to_owned(),
    };
    Some(Chosen {
        version,
        cipher: cipher_name(lab, cipher),
    })
}

/// OpenSSL's table of cipher suites: `0x13,0x02 - TLS_AES_256_GCM_SHA384 ...`
fn cipher_name(lab: &Lab, code: &str) -> String {
    let digits = code.trim_start_matches("0x").to_uppercase();
    let (high, low) = digits.split_at(digits.len() / 2);
    let table = lab.must_run("openssl", &["ciphers", "-V", "-stdname", "ALL:@SECLEVEL=0"]);
    let wanted = format!("0x{high},0x{low}");
    let line = table
        .lines()
        .find(|line| line.trim_start().starts_with(&wanted));
    line.and_then(|line| line.split_whitespace().nth(2))
        .map_or_else(|| code.to_owned(), str::to_owned)
}

/// How many SIP messages tshark finds in the TCP connections of a capture: with the key log, and without it.
pub fn sip_messages(lab: &Lab, capture: &str) -> (usize, usize) {
    let keys = format!("tls.keylog_file:{}/ours/log/tls.keys", lab::FOLDER);
    let count =
        |options: &[&str]| tshark(lab, capture, options, "sip && tcp", &["sip.CSeq.method"]).len();
    (count(&["-o", &keys]), count(&[]))
}
