//! pjsip's transports, in its own C structures: a factory per `protocol=tls` transport, a transport per connection.
//!
//! What they do is behind two small traits ([`Connector`], [`Carrier`]), so that `src/transport` sees no C.

mod cert;
pub mod config;
pub mod endpoint;
pub mod factory;
pub mod rx;
pub mod session;
pub mod state;
pub mod transport;
mod versions;

use std::ffi::{CStr, c_char};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;

use super::sys;

/// A `pj_status_t` that is not `PJ_SUCCESS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(i32);

impl Status {
    /// `PJ_SUCCESS`.
    pub const SUCCESS: i32 = 0;
    /// What `send_msg` answers when the message waits.
    pub const PENDING: Self = Self(sys::CT_PJ_EPENDING.cast_signed());
    /// A wrong argument.
    pub const INVALID: Self = Self(sys::CT_PJ_EINVAL.cast_signed());
    /// No memory.
    pub const NO_MEMORY: Self = Self(sys::CT_PJ_ENOMEM.cast_signed());
    /// The transport is going away.
    pub const CANCELLED: Self = Self(sys::CT_PJ_ECANCELLED.cast_signed());
    /// Something took too long.
    pub const TIMED_OUT: Self = Self(sys::CT_PJ_ETIMEDOUT.cast_signed());
    /// The peer is gone.
    pub const NOT_CONNECTED: Self = Self(sys::CT_PJ_ENOTCONN.cast_signed());
    /// The message is already being sent.
    pub const PENDING_TX: Self = Self(sys::CT_PJSIP_EPENDINGTX.cast_signed());
    /// The connection could not be made.
    pub const TLS_CONNECT: Self = Self(sys::CT_PJSIP_TLS_ECONNECT.cast_signed());
    /// The peer's certificate is not good.
    pub const TLS_CERT_VERIFY: Self = Self(sys::CT_PJSIP_TLS_ECERTVERIF.cast_signed());

    /// As C wants it.
    pub fn raw(self) -> i32 {
        self.0
    }

    fn check(raw: i32) -> Result<(), Self> {
        if raw == Self::SUCCESS {
            Ok(())
        } else {
            Err(Self(raw))
        }
    }
}

/// A `pj_str_t` as text.
///
/// # Safety
///
/// Its pointer has that many octets during the call.
unsafe fn pj_text(text: &sys::pj_str_t) -> String {
    if text.ptr.is_null() || text.slen <= 0 {
        return String::new();
    }
    // SAFETY: by the caller.
    let octets = unsafe { std::slice::from_raw_parts(text.ptr.cast::<u8>(), text.slen as usize) };
    String::from_utf8_lossy(octets).into_owned()
}

/// A `pj_str_t` that borrows `text`, for calls and structures that end before it does.
fn pj_str(text: &CStr) -> sys::pj_str_t {
    sys::pj_str_t {
        ptr: text.as_ptr().cast_mut(),
        slen: text.to_bytes().len() as sys::pj_ssize_t,
    }
}

/// A `pj_sockaddr` as Rust has it.
fn to_socket_addr(address: &sys::pj_sockaddr) -> Option<SocketAddr> {
    // SAFETY: every variant of the union begins with the family; the others are read by it alone.
    unsafe {
        match i32::from(address.addr.sa_family) {
            libc::AF_INET => {
                let v4 = &address.ipv4;
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(v4.sin_port)))
            }
            libc::AF_INET6 => {
                let v6 = &address.ipv6;
                let mut octets = [0u8; 16];
                ptr::copy_nonoverlapping(
                    (&raw const v6.sin6_addr).cast::<u8>(),
                    octets.as_mut_ptr(),
                    16,
                );
                let ip = IpAddr::V6(Ipv6Addr::from(octets));
                let mut address = SocketAddr::new(ip, u16::from_be(v6.sin6_port));
                if let SocketAddr::V6(v6_address) = &mut address {
                    v6_address.set_scope_id(v6.sin6_scope_id);
                }
                Some(address)
            }
            _ => None,
        }
    }
}

/// A Rust address as a `pj_sockaddr`.
fn from_socket_addr(address: SocketAddr) -> sys::pj_sockaddr {
    // SAFETY: a union of plain C structures, for which zero is valid.
    let mut raw: sys::pj_sockaddr = unsafe { std::mem::zeroed() };
    match address {
        SocketAddr::V4(v4) => {
            let ipv4 = sys::pj_sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: v4.port().to_be(),
                sin_addr: sys::pj_in_addr {
                    s_addr: u32::from(*v4.ip()).to_be(),
                },
                sin_zero_pad: [0; 8],
            };
            raw.ipv4 = ipv4;
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above.
            let mut ipv6: sys::pj_sockaddr_in6 = unsafe { std::mem::zeroed() };
            ipv6.sin6_family = libc::AF_INET6 as u16;
            ipv6.sin6_port = v6.port().to_be();
            ipv6.sin6_scope_id = v6.scope_id();
            let octets = v6.ip().octets();
            // SAFETY: 16 octets into a field of 16 octets.
            unsafe {
                ptr::copy_nonoverlapping(
                    octets.as_ptr(),
                    (&raw mut ipv6.sin6_addr).cast::<u8>(),
                    16,
                )
            };
            raw.ipv6 = ipv6;
        }
    }
    raw
}

/// The length that sockets want for an address.
fn address_length(address: SocketAddr) -> i32 {
    match address {
        SocketAddr::V4(_) => size_of::<sys::pj_sockaddr_in>() as i32,
        SocketAddr::V6(_) => size_of::<sys::pj_sockaddr_in6>() as i32,
    }
}

/// Copies `text` into a fixed field, cut to fit, with its NUL.
fn fill(field: &mut [c_char], text: &str) {
    field.fill(0);
    let room = field.len() - 1;
    for (to, from) in field[..room].iter_mut().zip(text.bytes()) {
        *to = from.cast_signed();
    }
}

/// Makes this thread known to pjlib, which refuses calls of others. What pjlib needs lives in the returned value: keep it
/// while the thread runs.
pub fn register_thread(name: &str) -> Box<ThreadDescription> {
    let mut description = Box::new(ThreadDescription {
        _words: [0; 64],
        name: super::c_text(name),
    });
    let mut thread = ptr::null_mut();
    // SAFETY: the description (64 words, `pj_thread_desc`) and the name live as long as the thread.
    unsafe {
        sys::pj_thread_register(
            description.name.as_ptr(),
            description._words.as_mut_ptr(),
            &raw mut thread,
        )
    };
    description
}

/// pjlib's record of a thread.
#[derive(Debug)]
pub struct ThreadDescription {
    _words: [std::ffi::c_long; 64],
    name: std::ffi::CString,
}
