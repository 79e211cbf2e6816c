//! Asterisk's security events (`res_security_log` writes them, and the manager interface sends them).

use std::ffi::CString;

use policy::security::Event;

use super::{c_text, sys};

/// What is reported.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Which event it is.
    pub event: Event,
    /// Whose account: an endpoint, or the transport where there is none.
    pub account: &'a str,
    /// Which call or connection.
    pub session: &'a str,
    /// The address that the peer came to, with its port.
    pub local: &'a str,
    /// The peer's address, with its port.
    pub remote: &'a str,
    /// The transport it came over: `TLS`, `UDP`.
    pub over: &'a str,
    /// The reason code.
    pub code: &'a str,
    /// What happened.
    pub sentence: &'a str,
}

/// Reports it. Not with a lock of ours held: who has subscribed may be called.
pub fn report(report: &Report<'_>) {
    let (kind, fields) = match report.event {
        Event::RequestBadFormat => (
            sys::AST_SECURITY_EVENT_REQ_BAD_FORMAT,
            [report.code, report.sentence, ""],
        ),
        Event::RequestNotSupported => (
            sys::AST_SECURITY_EVENT_REQ_NO_SUPPORT,
            [report.code, "", ""],
        ),
        Event::RequestNotAllowed => (
            sys::AST_SECURITY_EVENT_REQ_NOT_ALLOWED,
            [report.code, report.sentence, ""],
        ),
        Event::ChallengeResponseFailed => (
            sys::AST_SECURITY_EVENT_CHAL_RESP_FAILED,
            ["certificate", report.code, "a certificate that is accepted"],
        ),
        Event::InvalidTransport => (
            sys::AST_SECURITY_EVENT_INVAL_TRANSPORT,
            [report.over, "", ""],
        ),
        Event::FailedAcl => (sys::AST_SECURITY_EVENT_FAILED_ACL, ["", "", ""]),
        Event::SessionLimit => (sys::AST_SECURITY_EVENT_SESSION_LIMIT, ["", "", ""]),
    };
    let text = |text: &str| c_text(&policy::security::field(text));
    let [first, second, third]: [CString; 3] = fields.map(text);
    let (account, session) = (text(report.account), text(report.session));
    let (local, remote, over) = (text(report.local), text(report.remote), text(report.over));
    let raw = sys::ct_security_event {
        type_: kind,
        account: account.as_ptr(),
        session: session.as_ptr(),
        local: local.as_ptr(),
        remote: remote.as_ptr(),
        over: over.as_ptr(),
        first: first.as_ptr(),
        second: second.as_ptr(),
        third: third.as_ptr(),
    };
    // SAFETY: the texts live during the call, which copies them.
    unsafe { sys::ct_security_event(&raw const raw) };
}
