//! The connection that a message came on, as plain values.

use std::sync::Arc;

use sip_tls::TlsInfo;

use super::callbacks::if_ours;
use crate::ffi::{sys, text};

/// The names of the types that encrypt, whoever's they are and over IPv4 or IPv6.
const ENCRYPTED: [&str; 2] = ["TLS", "WSS"];

/// A connection, of any transport.
#[derive(Debug, Clone)]
pub struct Connection {
    /// PJSIP's name of the transport's type, e.g. `TLS`.
    pub kind: String,
    /// Whether that type encrypts.
    pub is_secure: bool,
    /// Of a TLS connection of ours.
    pub tls: Option<Arc<TlsInfo>>,
}

/// Whether a transport encrypts. The type alone does not say: res_pjsip_transport_websocket has one type for WebSockets over TLS and
/// in clear, which is marked as secure; the two differ in name.
///
/// # Safety
///
/// The transport lives during the call.
pub(in crate::ffi) unsafe fn is_secure(transport: *const sys::pjsip_transport) -> bool {
    // SAFETY: alive, by the caller. A flag and a name that do not change once it is made.
    unsafe {
        (*transport).flag & sys::PJSIP_TRANSPORT_SECURE != 0
            && text((*transport).type_name).is_some_and(|name| ENCRYPTED.contains(&name.as_str()))
    }
}

impl Connection {
    /// That of a received message.
    ///
    /// # Safety
    ///
    /// `rdata` is a message that pjsip has received, which lives during the call, as its transport does then.
    pub(in crate::ffi) unsafe fn of(rdata: *const sys::pjsip_rx_data) -> Self {
        // SAFETY: by the caller. Type, name and flags are set when a transport is made.
        unsafe {
            let transport = (*rdata).tp_info.transport;
            Self {
                kind: text((*transport).type_name).unwrap_or_default(),
                is_secure: is_secure(transport),
                tls: if_ours(transport).and_then(|raw| raw.carrier.tls()),
            }
        }
    }
}
