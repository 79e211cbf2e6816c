//! What a factory listens and connects with.

use std::net::SocketAddr;
use std::sync::Arc;

use sip_tls::verify::PeerName;
use sip_tls::{Listener, Pool, Profile, SocketOptions, Target};

use crate::ffi::fault;
use crate::ffi::pjsip::Status;
use crate::ffi::pjsip::factory::{Connector, FactoryRef};
use crate::ffi::pjsip::thread::PjThread;
use crate::ffi::pjsip::transport::{Direction, SipTransport};
use crate::ffi::sync::Mutex;

use super::connections::{About, Open, TlsCarrier};
use super::engine::{Connection, ListenerData, Sip};

/// One transport's address, options and certificate.
pub struct Endpoint {
    pub pool: Arc<Pool<Sip>>,
    /// The transport's name.
    pub name: Arc<str>,
    /// Where it listens.
    pub bind: SocketAddr,
    pub options: SocketOptions,
    pub state: Mutex<State>,
}

/// What changes.
pub struct State {
    pub profile: Arc<Profile>,
    /// `None`: without a certificate there is none.
    pub listener: Option<Listener<ListenerData>>,
    /// It neither listens nor connects any more.
    closed: bool,
}

impl State {
    /// Nothing listens yet.
    pub fn new(profile: Arc<Profile>) -> Self {
        Self {
            profile,
            listener: None,
            closed: false,
        }
    }
}

impl Endpoint {
    /// New connections get this profile; those that are up keep theirs.
    pub fn set_profile(&self, profile: Arc<Profile>) {
        let mut state = self.state.lock();
        if let Some(listener) = &state.listener {
            listener.set_profile(Arc::clone(&profile));
        }
        state.profile = profile;
    }

    /// Our address for an outgoing connection: the one that is bound, if it is a particular one, with any port.
    fn local(&self) -> Option<SocketAddr> {
        (!self.bind.ip().is_unspecified()).then(|| SocketAddr::new(self.bind.ip(), 0))
    }
}

impl Connector for Endpoint {
    fn connect(
        &self,
        thread: PjThread,
        factory: &FactoryRef,
        remote: SocketAddr,
        name: &str,
    ) -> Result<SipTransport, Status> {
        let profile = {
            let state = self.state.lock();
            if state.closed {
                return Err(Status::CANCELLED);
            }
            Arc::clone(&state.profile)
        };
        let local = self.local();
        let shown = local.unwrap_or(self.bind);
        let wanted = if name.is_empty() {
            remote.ip().to_string()
        } else {
            name.to_owned()
        };
        let about = About {
            transport: Arc::clone(&self.name),
            direction: Direction::Outgoing,
            remote,
            wanted: wanted.clone(),
        };
        let carrier = Arc::new(TlsCarrier::to_be(about, &profile));
        let registered = factory.transport(
            thread,
            Direction::Outgoing,
            shown,
            remote,
            name,
            carrier.clone(),
        )?;
        assert!(
            !fault::fires("outgoing"),
            "a deliberate fault of a test: a transport was made and its connection not begun"
        );
        let target = Target {
            remote,
            local,
            name: PeerName::parse(&wanted),
            profile,
            options: self.options,
        };
        // Its end may come at once, on an I/O thread.
        let sip = SipTransport::clone(&registered);
        let begun = self.pool.connect(target, |conn| {
            carrier.begin(conn);
            let open = Open::enter(carrier);
            Connection::outgoing(
                registered,
                conn,
                open,
                Arc::clone(&self.name),
                shown,
                wanted,
            )
        });
        // The engine is stopping, no callback will come, and the connection is dropped with its transport.
        begun.map(|_| sip).map_err(|_| Status::TLS_CONNECT)
    }

    fn close(&self) {
        let listener = {
            let mut state = self.state.lock();
            state.closed = true;
            state.listener.take()
        };
        // Its address is free when this is back. The lock is not held meanwhile.
        drop(listener);
    }
}
