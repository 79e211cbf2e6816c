//! SIP over TLS without any host: profiles, handshakes, verification, framing, and an engine of I/O loops.
//!
//! A [`Profile`] holds a transport's TLS options, loaded. A [`Pool`] has [`IoLoop`]s, which the host runs on threads
//! that it made itself (one that fails closes its connections and starts again), [listeners](Pool::listen) and [outgoing connections](Pool::connect). What happens comes to
//! the host by the callbacks of [`Host`]; a [`Conn`] sends and closes from any thread. The parts that do no
//! I/O stand for themselves: [`frame`] and [`verify`].
//!
//! The crate makes no threads, logs nothing that is not for its own developers, and leaves nothing behind in OpenSSL after
//! [`release`].

#![deny(unsafe_code)]

mod accept;
pub mod alert;
mod cert_info;
mod chain;
mod cipher;
mod code;
mod conn;
mod connection;
mod context;
mod core;
mod counters;
mod error;
pub mod explain;
#[cfg_attr(not(feature = "test-hooks"), doc(hidden))]
pub mod fault;
mod files;
pub mod frame;
mod gate;
mod greeting;
mod head;
mod host;
mod inputs;
mod io;
mod key_log;
mod key_uri;
mod limits;
mod link;
mod listener;
mod malformed;
mod method;
mod named;
mod network;
mod offending;
mod ossl_ext;
#[cfg(ossl300)]
mod ossl_store;
mod ossl_tickets;
mod own;
mod pem;
mod pool;
mod profile;
mod profile_config;
pub mod proxy;
mod questions;
mod reactor;
mod reason;
mod rules;
pub mod select;
mod sessions;
mod socket;
mod sync;
mod tickets;
mod token;
mod unload;
mod unreadable;
pub mod verify;
mod waker;
mod watch;

pub use crate::core::{PoolConfig, Target};
pub use cert_info::{AltName, CertInfo, Name};
pub use chain::OwnCertificate;
pub use code::{Code, Facts, Side, Stage};
pub use conn::{Close, Conn, SendError};
pub use context::MAX_CERTIFICATES;
pub use counters::Counts;
pub use error::{ConfigOption, Fault, ProfileError, Warning};
pub use files::{Files, Watcher};
pub use host::{Host, ListenerEvent, LoopError, LoopFailure, TlsInfo};
pub use inputs::Inputs;
pub use io::IoLoop;
pub use key_log::{KeyLog, KeyOwner};
pub use key_uri::{KeyProvider, KeyUri, without_pin, without_pins};
pub use limits::{Limits, Rate, Usage};
pub use listener::{Listener, ListenerConfig};
pub use method::{Method, UnknownMethod, Version};
pub use named::{Named, NotLoaded};
pub use network::Network;
pub use offending::Offending;
pub use ossl_ext::negotiated_group;
pub use own::KeyPair;
pub use pool::{Pool, Stopped};
pub use profile::Profile;
pub use profile_config::{ProfileConfig, Sni};
pub use reason::{HelloVersion, Place, Reason};
pub use rules::Pin;
pub use socket::{Keepalive, SocketOptions};
pub use token::{TokenFault, TokenKeys};
pub use unload::{AcquireError, acquire, release};
pub use unreadable::{Denied, Unreadable};
