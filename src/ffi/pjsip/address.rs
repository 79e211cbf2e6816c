//! `pj_sockaddr`: the system's socket addresses in pjlib's union.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::{mem, ptr};

use crate::ffi::sys;

/// As Rust has it; `None` for a family that is neither IPv4 nor IPv6.
pub(super) fn to_socket_addr(address: &sys::pj_sockaddr) -> Option<SocketAddr> {
    // SAFETY: every variant of the union begins with the family, so it may be read first; the variant that it names is the
    // one that was written, and integers have no invalid values anyway.
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
                    octets.len(),
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

/// As pjlib has it.
pub(super) fn from_socket_addr(address: SocketAddr) -> sys::pj_sockaddr {
    // SAFETY: a union of plain C structures of integers, for which all zeroes is a value.
    let mut raw: sys::pj_sockaddr = unsafe { mem::zeroed() };
    match address {
        SocketAddr::V4(v4) => {
            raw.ipv4 = sys::pj_sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: v4.port().to_be(),
                sin_addr: sys::pj_in_addr {
                    s_addr: u32::from(*v4.ip()).to_be(),
                },
                sin_zero_pad: [0; 8],
            };
        }
        SocketAddr::V6(v6) => {
            // SAFETY: a plain C structure of integers, for which all zeroes is a value.
            let mut ipv6: sys::pj_sockaddr_in6 = unsafe { mem::zeroed() };
            ipv6.sin6_family = libc::AF_INET6 as u16;
            ipv6.sin6_port = v6.port().to_be();
            ipv6.sin6_scope_id = v6.scope_id();
            let octets = v6.ip().octets();
            // SAFETY: `sin6_addr` is the 16 octets of an IPv6 address, whatever the header calls its members.
            unsafe {
                ptr::copy_nonoverlapping(
                    octets.as_ptr(),
                    (&raw mut ipv6.sin6_addr).cast::<u8>(),
                    octets.len(),
                );
            }
            raw.ipv6 = ipv6;
        }
    }
    raw
}

/// The length that sockets want for an address.
pub(super) fn length(address: SocketAddr) -> i32 {
    match address {
        SocketAddr::V4(_) => size_of::<sys::pj_sockaddr_in>() as i32,
        SocketAddr::V6(_) => size_of::<sys::pj_sockaddr_in6>() as i32,
    }
}
