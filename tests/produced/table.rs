//! Which test produces which reason, and who is at the other end.

/// Whoever is at the other end: nothing of this repository's crates is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Python's ssl module.
    Python,
    /// The library, or its `s_client` and `s_server`.
    OpenSsl,
    /// `gnutls-cli`.
    GnuTls,
    /// SIPp.
    Sipp,
    /// An Asterisk without this module: pjproject and libsrtp, or chan_iax2.
    Asterisk,
    /// libsrtp, behind the SIP of the harness.
    Libsrtp,
    /// Nobody: the kernel, or the name server, says that there is none.
    Nobody,
}

impl End {
    /// What a file has that starts it.
    pub fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Python => &["Python::start()", "\"python3\""],
            Self::OpenSsl => &[
                "\"openssl\"",
                "client(listener.address())",
                "SslContext",
                "Server::new(",
                "host_harness::sip::",
            ],
            Self::GnuTls => &["\"gnutls-cli\""],
            Self::Sipp => &["host_harness::sipp::"],
            Self::Asterisk => &["Setup::stock(", "carrier(", "Setup::ours("],
            Self::Libsrtp => &["host_harness::peer::", "crate::srtp_call", "echoes_beyond"],
            Self::Nobody => &["Engine::new()", "Names::serve("],
        }
    }
}

use End::{Asterisk, GnuTls, Libsrtp, Nobody, OpenSsl, Python, Sipp};

const FOREIGN: &str = "crates/sip-tls/tests/foreign/main.rs";
const PEERS: &str = "crates/sip-tls/tests/peers.rs";
const ENGINE: &str = "crates/sip-tls/tests/engine.rs";
const RENEGOTIATION: &str = "crates/sip-tls/tests/renegotiation.rs";
const LOOPS: &str = "crates/sip-tls/tests/loops.rs";
const BROKEN: &str = "crates/check/tests/servers/broken.rs";
const SILENT_CALLS: &str = "tests/host/silent_calls.rs";
const SILENT_TLS: &str = "tests/host/silent_tls.rs";
const LINES: &str = "tests/host/crypto_lines.rs";
const ANSWERS: &str = "tests/host/answers.rs";
const REQUIRE: &str = "tests/host/require.rs";
const DEAD: &str = "crates/sip-tls/tests/dead.rs";
const PROFILES: &str = "tests/host/tls_profiles.rs";
const IDENTITY: &str = "tests/host/identity.rs";

const CLIENTS: &str = "clients_without_a_handshake";
const SERVERS: &str = "servers_without_a_handshake";
const OF_CLIENTS: &str = "certificates_and_clients";
const OF_SERVERS: &str = "certificates_of_servers";
const DEMANDING: &str = "servers_that_demand_a_certificate";
const ENDS: &str = "ends_of_connections";
const OFFER: &str = "an_offer_that_does_not_fit_the_endpoint";
const LINE: &str = "each_gets_488_and_a_reason";
const NEVER: &str = "what_lacks_it_never_leaves";

/// Code, file, test, other end.
pub const PRODUCED: &[(&str, &str, &str, End)] = &[
    ("connect-refused", FOREIGN, "nobody_there", Nobody),
    (
        "connect-timeout",
        PEERS,
        "a_full_backlog_means_connect_timeout",
        Nobody,
    ),
    ("unreachable", FOREIGN, "nobody_there", Nobody),
    ("connect-failed", PEERS, "strange_servers", Nobody),
    ("tls-silent", FOREIGN, CLIENTS, Python),
    ("nothing-sent", FOREIGN, CLIENTS, Python),
    ("no-tls-answer", FOREIGN, SERVERS, Python),
    ("closed-at-hello", FOREIGN, SERVERS, Python),
    ("closed-unheard", FOREIGN, SERVERS, Python),
    ("handshake-timeout", FOREIGN, CLIENTS, Python),
    ("closed-in-handshake", FOREIGN, CLIENTS, Python),
    ("reset-in-handshake", FOREIGN, CLIENTS, Python),
    ("plain-sip", FOREIGN, CLIENTS, Python),
    ("plain-http", FOREIGN, SERVERS, Python),
    ("not-tls", FOREIGN, CLIENTS, Python),
    ("tls-version", FOREIGN, "clients_of_other_programs", GnuTls),
    (
        "no-secure-renegotiation",
        "crates/check/tests/servers/others.rs",
        "broken_servers_of_others",
        Python,
    ),
    (
        "no-shared-cipher",
        FOREIGN,
        "clients_of_other_programs",
        GnuTls,
    ),
    (
        "no-shared-algorithm",
        FOREIGN,
        "clients_of_other_programs",
        OpenSsl,
    ),
    (
        "weak-key-exchange",
        BROKEN,
        "versions_ciphers_and_names",
        OpenSsl,
    ),
    ("no-client-certificate", FOREIGN, OF_CLIENTS, Python),
    ("handshake-too-long", FOREIGN, OF_SERVERS, Python),
    ("cert-expired", FOREIGN, OF_SERVERS, Python),
    ("cert-not-yet-valid", FOREIGN, OF_SERVERS, Python),
    ("cert-self-signed", FOREIGN, OF_SERVERS, Python),
    ("cert-untrusted", FOREIGN, OF_SERVERS, Python),
    ("cert-weak", FOREIGN, OF_SERVERS, Python),
    ("cert-purpose", FOREIGN, OF_SERVERS, Python),
    ("cert-invalid", FOREIGN, OF_SERVERS, Python),
    ("cert-name", FOREIGN, OF_SERVERS, Python),
    ("peer-unknown-ca", FOREIGN, OF_CLIENTS, Python),
    ("peer-cert-expired", FOREIGN, OF_CLIENTS, Python),
    ("peer-bad-certificate", FOREIGN, OF_CLIENTS, Python),
    ("peer-cert-revoked", FOREIGN, DEMANDING, Python),
    ("peer-wants-certificate", FOREIGN, DEMANDING, Python),
    ("peer-handshake-failure", FOREIGN, SERVERS, Python),
    ("peer-version", FOREIGN, SERVERS, Python),
    ("peer-unknown-name", FOREIGN, SERVERS, Python),
    ("peer-denied", FOREIGN, SERVERS, Python),
    ("peer-alert", FOREIGN, SERVERS, Python),
    ("peer-aborted", FOREIGN, ENDS, Python),
    (
        "renegotiation-refused",
        FOREIGN,
        "clients_of_other_programs",
        OpenSsl,
    ),
    (
        "renegotiation-timeout",
        RENEGOTIATION,
        "a_renegotiation_that_does_not_end",
        OpenSsl,
    ),
    ("tls-protocol", FOREIGN, ENDS, Python),
    ("peer-closed", FOREIGN, ENDS, Python),
    ("peer-eof", FOREIGN, ENDS, Python),
    ("peer-reset", FOREIGN, ENDS, Python),
    ("peer-reset-midway", FOREIGN, ENDS, Python),
    ("peer-gone", FOREIGN, "peers_that_are_gone", Python),
    (
        "write-queue-full",
        ENGINE,
        "a_slow_reader_is_closed_and_nobody_else_notices",
        OpenSsl,
    ),
    ("not-sip", FOREIGN, ENDS, Python),
    ("message-too-long", FOREIGN, ENDS, Python),
    ("sip-filler", FOREIGN, ENDS, Python),
    ("no-content-length", FOREIGN, ENDS, Python),
    ("bad-content-length", FOREIGN, ENDS, Python),
    ("closed-here", FOREIGN, ENDS, Python),
    ("shutdown", FOREIGN, ENDS, Python),
    (
        "loop-failed",
        LOOPS,
        "a_panic_in_a_callback_leaves_no_message_unanswered",
        OpenSsl,
    ),
    (
        "listener-closed",
        FOREIGN,
        "a_listener_that_is_closed_meanwhile",
        Python,
    ),
    ("no-certificate-here", FOREIGN, OF_CLIENTS, Python),
    (
        "too-many-connections",
        FOREIGN,
        "what_is_refused_at_accept",
        Python,
    ),
    (
        "too-many-of-source",
        FOREIGN,
        "what_is_refused_at_accept",
        Python,
    ),
    (
        "too-many-handshakes",
        FOREIGN,
        "what_is_refused_at_accept",
        Python,
    ),
    (
        "too-many-handshakes-of-source",
        FOREIGN,
        "what_is_refused_at_accept",
        Python,
    ),
    (
        "connection-rate",
        FOREIGN,
        "what_is_refused_at_accept",
        Python,
    ),
    (
        "descriptors-reserved",
        FOREIGN,
        "what_is_refused_at_accept",
        Python,
    ),
    ("proxy-header", FOREIGN, "what_is_refused_at_accept", Python),
    (
        "proxy-header-refused",
        FOREIGN,
        "what_is_refused_at_accept",
        Python,
    ),
    (
        "acl-denied",
        "tests/host/tls_limits.rs",
        "an_acl_is_asked_before_tls_and_a_balancer_says_for_whom",
        OpenSsl,
    ),
    (
        "cert-revoked",
        FOREIGN,
        "certificates_that_a_profile_refuses",
        Python,
    ),
    (
        "cert-pin",
        PROFILES,
        "carriers_with_opposite_needs",
        OpenSsl,
    ),
    (
        "profile-not-loaded",
        "crates/sip-tls/tests/profiles/chosen.rs",
        "the_peers_of_a_profile_that_is_not_loaded_get_no_other",
        OpenSsl,
    ),
    (
        "pong-missing",
        DEAD,
        "keepalives_without_an_answer",
        OpenSsl,
    ),
    ("idle", DEAD, "who_sends_nothing_for_long_is_idle", OpenSsl),
    (
        "message-timeout",
        DEAD,
        "a_message_whose_rest_does_not_come",
        OpenSsl,
    ),
    ("empty-tls", DEAD, "endless_key_updates", OpenSsl),
    (
        "not-post-quantum",
        PROFILES,
        "carriers_with_opposite_needs",
        OpenSsl,
    ),
    (
        "sip-unanswered",
        SILENT_TLS,
        "a_server_that_never_answers_sip",
        OpenSsl,
    ),
    (
        "keys-in-clear",
        SILENT_CALLS,
        "keys_that_travel_in_clear",
        Sipp,
    ),
    (
        "transport-not-adopted",
        SILENT_TLS,
        "transports_that_are_not_ours",
        Asterisk,
    ),
    ("offer-in-clear", SILENT_CALLS, OFFER, Sipp),
    ("offer-dtls", SILENT_CALLS, OFFER, Sipp),
    ("offer-sdes", SILENT_CALLS, OFFER, Sipp),
    ("offer-without-keys", SILENT_CALLS, OFFER, Sipp),
    ("offer-encrypted", SILENT_CALLS, OFFER, Sipp),
    (
        "offer-profile",
        SILENT_CALLS,
        "an_offer_in_a_call_that_does_not_fit_the_endpoint",
        Sipp,
    ),
    (
        "remote-refused-srtp",
        SILENT_CALLS,
        "our_offer_is_refused_by_the_other_side",
        Sipp,
    ),
    (
        "remote-refused-clear",
        SILENT_CALLS,
        "our_offer_is_refused_by_the_other_side",
        Sipp,
    ),
    (
        "no-address",
        SILENT_CALLS,
        "a_name_without_an_address",
        Nobody,
    ),
    ("line-too-long", LINES, LINE, Sipp),
    ("tag-syntax", LINES, LINE, Sipp),
    ("suite-missing", LINES, LINE, Sipp),
    ("suite-unknown", LINES, LINE, Sipp),
    ("suite-not-accepted", LINES, LINE, Sipp),
    ("key-missing", LINES, LINE, Sipp),
    ("key-method", LINES, LINE, Sipp),
    ("key-encoding", LINES, LINE, Sipp),
    ("key-length", LINES, LINE, Sipp),
    ("key-too-many", LINES, LINE, Sipp),
    ("key-trailer", LINES, LINE, Sipp),
    ("lifetime-syntax", LINES, LINE, Sipp),
    ("lifetime-too-short", LINES, LINE, Sipp),
    ("lifetime-too-long", LINES, LINE, Sipp),
    ("mki-syntax", LINES, LINE, Sipp),
    ("mki-length", LINES, LINE, Sipp),
    ("mki-value", LINES, LINE, Sipp),
    ("mki-not-accepted", LINES, LINE, Sipp),
    ("mki-set", LINES, LINE, Sipp),
    ("param-syntax", LINES, LINE, Sipp),
    ("param-kdr", LINES, LINE, Sipp),
    ("param-fec", LINES, LINE, Sipp),
    ("param-unencrypted-srtp", LINES, LINE, Sipp),
    ("param-unencrypted-srtcp", LINES, LINE, Sipp),
    ("param-unauthenticated-srtp", LINES, LINE, Sipp),
    ("param-conflict", LINES, LINE, Sipp),
    ("param-unknown", LINES, LINE, Sipp),
    (
        "not-offered",
        "tests/host/chan_sip_calls.rs",
        "sipp_is_taken_and_refused",
        Sipp,
    ),
    (
        "not-in-force",
        "tests/host/srtp_sdes.rs",
        "keys_that_cannot_be_put_in_force_are_refused",
        Libsrtp,
    ),
    (
        "draining",
        "tests/host/drain.rs",
        "a_call_goes_on_and_then_the_module_can_be_unloaded",
        Libsrtp,
    ),
    (
        "answered-in-clear",
        "tests/host/plain_answer.rs",
        "rtp_avp",
        Sipp,
    ),
    (
        "answered-profile",
        ANSWERS,
        "our_offer_answered_in_200",
        Libsrtp,
    ),
    (
        "answer-not-applied",
        SILENT_CALLS,
        "an_answer_that_asterisk_does_not_take",
        Sipp,
    ),
    (
        "packets-not-authentic",
        "tests/host/srtp_rollover.rs",
        "a_peer_that_counts_while_nothing_arrives_is_heard_again",
        Libsrtp,
    ),
    (
        "packets-index",
        "tests/host/srtp_replay.rs",
        "a_phone_that_begins_again_where_it_was_heard_has_a_line",
        Libsrtp,
    ),
    ("signaling-in-clear", REQUIRE, NEVER, Asterisk),
    ("signaling-version", REQUIRE, NEVER, Asterisk),
    ("signaling-unknown", REQUIRE, NEVER, Asterisk),
    ("not-verified", REQUIRE, NEVER, Asterisk),
    ("other-name", REQUIRE, NEVER, Asterisk),
    ("no-certificate", IDENTITY, "who_calls", OpenSsl),
    ("certificate-not-verified", IDENTITY, "who_calls", OpenSsl),
    (
        "other-certificate",
        IDENTITY,
        "a_stock_asterisk_calls",
        Asterisk,
    ),
    ("media-in-clear", REQUIRE, NEVER, Asterisk),
    ("media-suite", REQUIRE, NEVER, Asterisk),
    ("media-key-source", REQUIRE, NEVER, Asterisk),
    ("bad-demand", REQUIRE, NEVER, Asterisk),
    (
        "forwarded",
        "tests/host/require_paths.rs",
        "forwarded",
        Sipp,
    ),
    (
        "other-technology",
        "tests/host/require_elsewhere.rs",
        "more_than_encryption_is_not_had_over_iax2",
        Asterisk,
    ),
    ("unknown-leg", REQUIRE, "calls_that_come", Asterisk),
];

/// What no other end can bring about, and why it stays.
pub const ARGUED: &[(&str, &str)] = &[
    (
        "openssl-failed",
        "OpenSSL finds no memory for a connection, or fails where it never does: whatever a peer sends has a code of its own",
    ),
    (
        "io-error",
        "the kernel's errors that are none of the network's, as ENOBUFS: a peer can only close, reset or be gone",
    ),
    (
        "connection-not-taken",
        "pjsip registers each transport that it has memory for",
    ),
];
