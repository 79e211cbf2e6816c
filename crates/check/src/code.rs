//! The codes of what can be found, in one table.

use sip_tls::{Reason, Side};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Good to know.
    Note,
    /// It works, and something should be changed.
    Warning,
    /// It does not work, or must not be trusted.
    Fault,
}

/// What the table says about a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// How much it matters.
    pub level: Level,
    /// Who has to change something.
    pub side: Side,
    /// What happened.
    pub text: &'static str,
    /// What to change; empty where `text` says it.
    pub change: &'static str,
}

macro_rules! codes {
    ($($name:ident $word:literal $level:ident $side:ident $text:literal $change:literal)*) => {
        /// What was found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            /// A reason of a connection that failed or ended.
            Tls(sip_tls::Code),
            $(#[doc = $text] $name,)*
        }

        impl Code {
            /// Every code of this program's own; beside them there are those of `sip_tls`.
            pub const OWN: &'static [Code] = &[$(Code::$name,)*];

            /// Its word, in kebab-case.
            #[must_use]
            pub fn word(self) -> String {
                match self {
                    Code::Tls(code) => code.facts().name.to_owned(),
                    $(Code::$name => $word.to_owned(),)*
                }
            }

            /// What the table says about it.
            #[must_use]
            pub fn row(self) -> Row {
                match self {
                    Code::Tls(code) => Row { level: Level::Fault, side: Reason::from(code).side, text: "", change: "" },
                    $(Code::$name => Row { level: Level::$level, side: Side::$side, text: $text, change: $change },)*
                }
            }
        }
    };
}

codes! {
    // Our own files.
    OwnFiles "own-files" Fault Ours "our own files cannot be used" ""
    OwnFilesDoubt "own-files-doubt" Warning Ours "about our own files" ""
    OwnCaExpired "own-ca-expired" Fault Ours "a CA certificate that is trusted here has expired, and its certificate leads to it" "Ask its CA or the peer for the one that came after it, and replace it in ca_list_file here; or correct this machine's clock"
    OwnCipher "own-cipher" Fault Ours "it takes none of the ciphers that cipher names here, and takes one of the system's own" "Take cipher off the transport or its profile, or let a profile of its own name one of those that are told below"
    OwnNotForClients "own-not-for-clients" Note Ours "our certificate may not be used as a client certificate (extended key usage): a peer that asks for one refuses it" ""
    OwnNotVerifying "own-not-verifying" Warning Ours "calls do not look at its certificate: who is on the way can be in its place, and read the keys" "verify_server = yes on the transport, or in its profile, here"

    // DNS
    DnsNameUnknown "dns-name-unknown" Fault Either "the name does not exist in the DNS" "Compare its spelling with what its owner gave you"
    DnsNoAddress "dns-no-address" Fault Theirs "the name has neither an SRV record for SIP over TLS nor an address" "Ask its owner for the name of the SIP server"
    DnsNoAnswer "dns-no-answer" Fault Ours "no name server answered" "Look at /etc/resolv.conf and at the way to the name servers"
    DnsFailed "dns-failed" Fault Theirs "the name servers could not resolve the name" "The zone's own name servers are to be looked at by its owner"
    DnsNotInDns "dns-not-in-dns" Note Ours "the address is from this machine's own files (/etc/hosts), not from the DNS" ""
    SrvDenied "srv-denied" Fault Theirs "its SRV record says that there is no SIP over TLS (target \".\")" "Ask its owner which name has it, or give the port"
    SrvTargetUnknown "srv-target-unknown" Warning Theirs "an SRV record names a server that has no address" "Its owner has to correct the record"
    SrvTargetsUnknown "srv-targets-unknown" Fault Theirs "no server that the SRV records name has an address" "Its owner has to correct the records"
    NaptrWithoutTls "naptr-without-tls" Warning Theirs "it has NAPTR records for SIP, and none of them is for TLS (SIPS+D2T)" "A client that follows them alone does not use TLS; transport=tls in the URI makes it"

    // TCP
    DeadIpv6 "dead-ipv6" Warning Either "the IPv6 address does not answer, while another address does: each connection may be late by the time that it takes to notice" "Its owner has to serve it or to remove the AAAA record; or IPv6 is broken here"
    DeadSrvTarget "dead-srv-target" Warning Theirs "a server that the DNS names does not answer, while another does: connections are late by the time that it takes to notice" "Its owner has to serve it or to remove the record"
    DeadAddress "dead-address" Warning Theirs "one of its addresses does not answer, while another does: connections are late by the time that it takes to notice" "Its owner has to serve it or to remove the record"

    // TLS
    PlainSsh "plain-ssh" Fault Either "an SSH server is on this port" "Compare the port"
    PlainOther "plain-other" Fault Either "a server of another protocol is on this port" "Compare the port"
    LargeHelloLost "large-hello-lost" Fault Either "a first TLS message that is longer than one TCP segment is not answered, a shorter one is: the server or a box on the way drops it" "To update there; until then a profile of ciphertrunk.conf for this peer avoids the long ones: type = tls, match = its name, and groups without ML-KEM (groups = X25519, P-256)"
    LargeHelloUnanswered "large-hello-unanswered" Warning Theirs "a first TLS message that is longer than one TCP segment, as post-quantum key exchange makes it, is not answered, a shorter one is" "To update there, or the box on the way"
    OnlyOldTls "only-old-tls" Fault Theirs "it speaks only TLS 1.1 or older" "To update there; until then a profile of its own here with min_version = tls1.0 (docs/tls.md), which is protected less well"
    OldTlsTaken "old-tls-taken" Warning Theirs "it still takes TLS 1.1 or 1.0 beside the newer versions" "To switch them off there"
    NoTls13 "no-tls13" Note Theirs "it has no TLS 1.3" ""
    OnlyOldCiphers "only-old-ciphers" Fault Theirs "it takes only ciphers that are not offered here unless they are named: static RSA, which has no forward secrecy, or CBC with SHA-1" "To switch on ECDHE with AES-GCM there; until then a profile of its own here with one of its ciphers in cipher (docs/tls.md)"
    OnlyWeakCiphers "only-weak-ciphers" Fault Theirs "it takes no cipher that this system allows; one below the system's security level was taken" "To be changed there; until then a profile of its own here with cipher and security_level = 0 (docs/tls.md)"
    NoForwardSecrecy "no-forward-secrecy" Warning Theirs "no cipher with forward secrecy (ECDHE or DHE) is taken: whoever gets its key can decrypt what was recorded" "To switch on ECDHE there; until then a profile with cipher here (docs/tls.md)"
    UnsafeCipherTaken "unsafe-cipher-taken" Warning Theirs "it takes ciphers without encryption or without authentication" "To switch them off there"
    NoMoreConnections "no-more-connections" Warning Theirs "it takes one connection, and ends each further one that comes soon after it: its versions and ciphers were not looked at. A connection that is lost may not be had back at once" "Ask there for its limit of connections from one address"
    NoResumption "no-resumption" Note Theirs "sessions are not resumed: each connection needs a whole handshake" ""

    // Chain
    ChainIncomplete "chain-incomplete" Fault Theirs "an intermediate certificate is missing: the server has to send it" "There: the file of the certificate has to hold the intermediate certificates behind it (fullchain)"
    ChainUntrusted "chain-untrusted" Fault Either "its certificate does not lead to a CA that is trusted here" "Add its CA to ca_list_file here if it is the right one; if that CA is an intermediate, the server has to send it"
    ChainOrder "chain-order" Warning Theirs "the certificates are not in order, each followed by its issuer's: some clients refuse that" "To be put in order there"
    ChainForeign "chain-foreign" Warning Theirs "it sends certificates that do not belong to the chain" "To be removed there"
    IntermediateExpired "intermediate-expired" Fault Theirs "a CA certificate in its chain has expired" "To be replaced there"
    ExpiresSoon "expires-soon" Warning Theirs "a certificate expires in less than 30 days" "To be renewed there"
    NotForClients "not-for-clients" Note Theirs "its certificate may not be used as a client certificate: where it calls here with it, verify_client refuses it" ""

    // Name
    NameByWildcard "name-by-wildcard" Warning Ours "its certificate covers the name by a wildcard only" "allow_wildcard_certs = yes in a profile of its own here (docs/tls.md), or on the transport"
    NameInSubjectOnly "name-in-subject-only" Warning Theirs "its certificate has the name only in its subject (CN) and no subjectAltName: some clients refuse that" "To be reissued there"
    NameByServerNameOnly "name-by-server-name-only" Note Theirs "without the server name (SNI) it shows another certificate" ""
    ServerNameRefused "server-name-refused" Warning Either "it refuses the server name (SNI) that was asked for, and takes a connection without" "Compare the name with what its owner gave you"

    // Client certificate
    ClientCertificateOptional "client-certificate-optional" Note Nobody "it asks for a client certificate and does without" ""
    ClientCertificateDemanded "client-certificate-demanded" Fault Ours "it demands a client certificate" "Set cert_file and priv_key_file on the transport, or in a profile (here: --cert and --key) to a certificate that it accepts"
    OwnCertificateRefused "own-certificate-refused" Fault Either "it refuses our client certificate, or ends the connection after it" "Ask there which CA and which name it accepts"

    // SIP
    OptionsUnanswered "options-unanswered" Fault Theirs "the TLS connection is up, and OPTIONS is not answered" "Its log has to say why: this address or the host name may not be known there"
    OptionsClosed "options-closed" Fault Theirs "the TLS connection is up, and it is closed when OPTIONS comes" "Its log has to say why: this address or the host name may not be known there"
    OptionsRefused "options-refused" Note Nobody "it answers OPTIONS with a refusal, which is an answer" ""
    OptionsForbidden "options-forbidden" Warning Either "it refuses us: this address, or this From, is not known there" "Ask there that this address is allowed"
    OptionsServerError "options-server-error" Fault Theirs "it says that it cannot serve" "Its log has to say why"
    AnswerEchoed "answer-echoed" Fault Theirs "our own request comes back: no SIP server answers there" "Compare the port"
    AnswerHttp "answer-http" Fault Theirs "the answer is HTTP: a web server is on this port" "Compare the port"
    AnswerNotSip "answer-not-sip" Fault Theirs "what it sends over TLS is not SIP" "Compare the port"
    AnswerWrongVia "answer-wrong-via" Fault Theirs "the Via of its answer is not that of the request, so no client can match it (RFC 3261 17.1.3)" "A fault of its software, or of a box on the way"
    AnswerWrongCseq "answer-wrong-cseq" Fault Theirs "the CSeq of its answer is not that of the request, so no client can match it (RFC 3261 17.1.3)" "A fault of its software"
    AnswerWrongDialog "answer-wrong-dialog" Fault Theirs "the Call-ID or the From tag of its answer is not that of the request" "A fault of its software, or of a box on the way"
    AnswerMalformed "answer-malformed" Fault Theirs "its answer breaks the rules of SIP over a stream" "A fault of its software"
    ClosedAfterAnswer "closed-after-answer" Warning Theirs "it closes the connection after its answer: each call needs a new handshake, and it cannot call back over the connection" "To be changed there"
    PingUnanswered "ping-unanswered" Note Theirs "a double CRLF is not answered (RFC 5626): no keepalive" ""

    // Calls
    CallSuiteTaken "call-suite-taken" Note Nobody "it takes the suite" ""
    CallSuiteRefused "call-suite-refused" Note Theirs "it does not take the suite" ""
    CallNoSuite "call-no-suite" Fault Either "no SRTP suite is taken: calls over SDES do not come about" "To switch on SRTP (SDES) for this trunk there"
    CallFallsBack "call-falls-back" Fault Theirs "it answers an encrypted offer in clear" "Calls with it are not encrypted; require_media here refuses them. To be changed there"
    CallOtherSuite "call-other-suite" Fault Theirs "its answer has a suite that was not offered" "A fault of its software"
    CallOtherTag "call-other-tag" Warning Theirs "its answer has another tag than the offer (RFC 4568 5.1.3)" "A fault of its software; the module takes it where the suite tells which line is meant"
    CallBadKey "call-bad-key" Fault Theirs "the crypto line of its answer cannot be used" "A fault of its software"
    CallClearTaken "call-clear-taken" Warning Theirs "it takes calls in clear too" "require_media on the endpoint here refuses calls without SRTP"
    CallUnauthorized "call-unauthorized" Note Nobody "it asks for a login before it says anything about SRTP" ""
    CallRefused "call-refused" Warning Either "it refuses the call for a reason that has nothing to do with SRTP" "Try another number"
    CallUnanswered "call-unanswered" Warning Theirs "the call is not answered in time" ""

    // A phone that comes
    PhoneServerName "phone-server-name" Note Nobody "the server name (SNI) it asks for" ""
    PhoneOldTls "phone-old-tls" Fault Theirs "the phone speaks only TLS 1.1 or older" "To update there; until then a profile with min_version = tls1.0 for its address here (docs/tls.md)"
    PhoneSilent "phone-silent" Fault Theirs "the TLS connection is up, and no SIP request comes" "Look at the phone's account: it connects and does not register"
    PhoneOfferClear "phone-offer-clear" Warning Theirs "it offers a call in clear" "To switch on SRTP (SDES) on the phone"
    PhoneOfferUnusable "phone-offer-unusable" Fault Theirs "it offers SRTP by a crypto line that cannot be used" "To be changed on the phone"
    PhoneOfferDtls "phone-offer-dtls" Note Nobody "it offers DTLS-SRTP" "media_encryption = dtls on its endpoint"
}

impl Code {
    /// The codes of this program's own as a table in Markdown, as docs/check.md has it.
    #[must_use]
    pub fn table() -> String {
        let mut table =
            "| code | level | change | what was found, and what to do |\n|---|---|---|---|\n"
                .to_owned();
        for code in Code::OWN {
            let row = code.row();
            let level = match row.level {
                Level::Note => "note",
                Level::Warning => "warning",
                Level::Fault => "fault",
            };
            let side = match row.side {
                Side::Ours => "here",
                Side::Theirs => "there",
                Side::Either => "here or there",
                Side::Nobody => "nobody",
            };
            let change = if row.change.is_empty() {
                String::new()
            } else {
                format!(". {}", row.change)
            };
            table.push_str(&format!(
                "| `{}` | {level} | {side} | {}{change} |\n",
                code.word(),
                row.text
            ));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_kebab() {
        let all: Vec<Code> = Code::OWN
            .iter()
            .copied()
            .chain(sip_tls::Code::ALL.iter().map(|code| Code::Tls(*code)))
            .collect();
        for (i, code) in all.iter().enumerate() {
            let word = code.word();
            assert!(
                word.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{word}"
            );
            assert!(
                all[..i].iter().all(|other| other.word() != word),
                "{word} twice"
            );
        }
        assert_eq!(
            Code::Tls(sip_tls::Code::PeerUnknownCa).word(),
            "peer-unknown-ca"
        );
    }

    #[test]
    fn a_fault_says_what_to_change() {
        for code in Code::OWN {
            let row = code.row();
            assert!(!row.text.is_empty() && !row.text.ends_with('.'), "{code:?}");
            if row.level == Level::Fault && *code != Code::OwnFiles {
                assert!(!row.change.is_empty(), "{code:?}");
            }
        }
    }

    #[test]
    fn the_table_of_the_document_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/check.md");
        let there = std::fs::read_to_string(path).expect("docs/check.md");
        assert!(
            there.contains(&Code::table()),
            "docs/check.md is old: cargo run -p ciphertrunk-check --example codes"
        );
    }
}
