//! What a factory listens and connects with.

use std::net::SocketAddr;
use std::sync::Arc;

use log::Level;
use sip_tls::verify::PeerName;
use sip_tls::{Code, Listener, NotLoaded, Pool, Profile, SocketOptions, Target};

use crate::ffi::fault;
use crate::ffi::pjsip::Status;
use crate::ffi::pjsip::factory::{Connector, FactoryRef};
use crate::ffi::pjsip::thread::PjThread;
use crate::ffi::pjsip::transport::{Direction, SipTransport};
use crate::ffi::sync::Mutex;
use crate::limited;
use crate::observe::refusals::{self, Who};

use super::connections::{self, About, Open, TlsCarrier};
use super::events::{Connection, ListenerData, Sip};

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

    /// There is no connection: the profile that is this peer's could not be loaded.
    fn tell_not_loaded(&self, wanted: &str, reason: &NotLoaded) {
        let facts = Code::NoProfile.facts();
        let who = Who {
            peer: wanted,
            endpoint: &self.name,
            call_id: "",
            came: None,
        };
        refusals::note(facts.name, who, format_args!("{}", facts.sentence));
        limited::log(
            Level::Warn,
            facts.name,
            wanted,
            format_args!(
                "transport '{}': there is no connection to {wanted}: {} ({reason}), reason {}",
                self.name, facts.sentence, facts.name
            ),
        );
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
        in_dialog: bool,
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
        // By the name that was asked for, as pjsip tells the connections to one address apart: each has one profile.
        let peer = PeerName::parse(&wanted);
        let profile = profile.to(&peer).map_err(|reason| {
            self.tell_not_loaded(&wanted, &reason);
            Status::TLS_CONNECT
        })?;
        // A carrier is called by its name, and its Contact has its address: pjsip takes that for another peer, whose certificate would have to
        // have the address (before 2.14 that of the connection by which the dialog began). Who is at the other end of the connection to where
        // the request goes is known, where there is one such peer, of the same profile.
        if in_dialog
            && matches!(peer, PeerName::Ip(_))
            && let Some(sip) = connections::named_to(&self.name, profile.name(), remote, factory)
        {
            return Ok(sip);
        }
        let about = About {
            transport: Arc::clone(&self.name),
            profile: profile.name().cloned(),
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
            name: peer,
            profile,
            options: self.options,
        };
        // Its end may come at once, on an I/O thread.
        let sip = SipTransport::clone(&registered);
        let begun = self.pool.connect(target, |conn| {
            carrier.begin(conn);
            let about = carrier.about().clone();
            let open = Open::enter_outgoing(carrier, SipTransport::clone(&registered));
            Connection::outgoing(registered, conn, open, &about, shown)
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
