//! What pjsip is told a connection ended with.

use sip_tls::{Code, Reason, Stage};

use crate::ffi::pjsip::Status;

/// The status for a reason. The details are in our log: pjsip has no codes for them.
pub fn of(reason: &Reason) -> Status {
    match reason.code {
        Code::ConnectTimeout | Code::HandshakeTimeout | Code::Silent => Status::TIMED_OUT,
        Code::ClosedHere => Status::CANCELLED,
        _ if reason.fault.is_some() => Status::TLS_CERT_VERIFY,
        _ if matches!(reason.stage, Stage::Open | Stage::Renegotiation) => Status::NOT_CONNECTED,
        _ => Status::TLS_CONNECT,
    }
}
