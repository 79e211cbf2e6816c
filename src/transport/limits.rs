//! `[tls]` in `ciphertrunk.conf`: how much clients may take.

use std::net::IpAddr;
use std::sync::Arc;

use policy::config::limits::Network as Prefix;
use sip_tls::{Limits, Network, Rate};

use crate::config;
use crate::ffi::acl::Acl;
use crate::ffi::host;
use crate::ffi::sync::Mutex;

fn networks(prefixes: &[Prefix]) -> Vec<Network> {
    let of = |&(address, prefix): &Prefix| Network::new(address, prefix);
    prefixes.iter().map(of).collect()
}

/// The numbers that are configured now, for the descriptors that the process may have now.
fn now() -> Limits {
    let limits = &config::current().limits;
    let descriptors = host::descriptor_limit();
    Limits {
        connections: limits.connections,
        connections_per_source: limits.connections_per_source(descriptors),
        handshakes: limits.handshakes,
        handshakes_per_source: limits.handshakes_per_source,
        rate_per_source: limits
            .rate()
            .map(|(per_second, burst)| Rate { per_second, burst }),
        descriptors: limits.descriptors(descriptors),
        trusted: networks(&limits.trusted),
        balancers: networks(&limits.balancers),
    }
}

/// `acl`, as it was when the configuration was read.
enum Named {
    /// None is configured: everybody may connect.
    None,
    /// acl.conf does not have it: nobody may.
    Missing,
    Found(Arc<Acl>),
}

/// A leaf among the locks.
static ACL: Mutex<Named> = Mutex::new(Named::None);

/// Looks for the ACL that is configured now, and hands out the limits.
pub fn load() -> Limits {
    let named = match &config::current().limits.acl {
        None => Named::None,
        Some(name) => Acl::find(name).map_or_else(
            || {
                log::error!(
                    "ciphertrunk.conf: [tls] acl = {name}: acl.conf has no such section with rules, so nobody can connect by TLS"
                );
                Named::Missing
            },
            |acl| Named::Found(Arc::new(acl)),
        ),
    };
    *ACL.lock() = named;
    now()
}

/// No ACL is kept from here on: nobody connects any more.
pub fn unload() {
    *ACL.lock() = Named::None;
}

/// Whether the ACL lets this address connect.
pub fn permits(address: IpAddr) -> bool {
    let acl = match &*ACL.lock() {
        Named::None => return true,
        Named::Missing => return false,
        Named::Found(acl) => Arc::clone(acl),
    };
    acl.permits(address)
}
