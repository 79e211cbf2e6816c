//! Taking over stock's listeners.
//!
//! Everything here runs in a thread of PJSIP's, as whatever else changes a transport's factory does, and one at a time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sip_tls::verify::PeerName;
use sip_tls::{Listener, ListenerConfig, Pool, Profile, SocketOptions, Target};

use crate::config;
use crate::ffi::pjsip::Status;
use crate::ffi::pjsip::config::{
    Observer, TlsTransport, TransportState, factory_like, tls_transports,
};
use crate::ffi::pjsip::factory::{Begin, Connector, FactoryRef, StockFactory};
use crate::ffi::pjsip::transport::{Direction, SipTransport};

use super::engine::{Connection, ListenerData, Sip, TlsCarrier};
use super::options;

/// Tries to bind an address that stock has just closed.
const BIND_TRIES: u32 = 10;
/// Between them.
const BIND_PAUSE: Duration = Duration::from_millis(20);

/// One transport that is ours.
struct Adopted {
    connector: Arc<Endpoint>,
    factory: FactoryRef,
    /// As it was configured when it was last adopted or renewed.
    transport: TlsTransport,
}

/// The transports that are ours.
pub struct Adopter {
    pool: Arc<Pool<Sip>>,
    adopted: Mutex<BTreeMap<String, Adopted>>,
    /// Held while transports change hands: PJSIP has several threads.
    turn: Mutex<()>,
}

/// A line about a transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Its name.
    pub name: String,
    /// Where.
    pub address: String,
    /// Its certificate: subject, and the SHA-256 of the certificate in hexadecimal.
    pub certificate: String,
}

impl Adopter {
    /// Nothing is ours yet.
    pub fn new(pool: Arc<Pool<Sip>>) -> Self {
        Self {
            pool,
            adopted: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    fn adopted(&self) -> MutexGuard<'_, BTreeMap<String, Adopted>> {
        // Entries are put in and taken out whole.
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what is stock's, and reads the certificates of what is ours again. A transport that cannot be taken over
    /// stays stock's, and one whose new certificate is bad keeps the old one; both are said. A transport that is now to be
    /// left alone becomes stock's again.
    pub fn adopt_all(&self) {
        let _turn = self.turn();
        // What Asterisk has replaced by a listener of stock's.
        self.adopted().retain(|name, adopted| {
            TransportState::of(name).is_some_and(|state| state.has(&adopted.factory))
        });
        let leave = &config::current().leave_alone;
        for transport in &tls_transports() {
            if leave.contains(&transport.name) {
                let adopted = self.adopted().remove(&transport.name);
                if let Some(adopted) = adopted {
                    give_back(&transport.name, &adopted.factory, transport);
                }
                continue;
            }
            let Some(state) = TransportState::of(&transport.name) else {
                continue;
            };
            let ours = state.is_ours();
            let profile = match options::profile(transport, config::key_log()) {
                Ok(profile) => Arc::new(profile),
                Err(reason) => {
                    let stays = if ours {
                        "the old certificate stays"
                    } else {
                        "it stays pjproject's"
                    };
                    log::error!("transport '{}': {reason}; {stays}", transport.name);
                    continue;
                }
            };
            if ours {
                self.renew(transport, profile);
            } else if let Some(stock) = state.stock() {
                self.take_over(transport, &state, stock, profile);
            }
        }
    }

    /// New connections get the new profile; those that are up keep theirs.
    fn renew(&self, transport: &TlsTransport, profile: Arc<Profile>) {
        if let Some(adopted) = self.adopted().get_mut(&transport.name) {
            adopted.connector.set_profile(profile);
            adopted.transport = transport.clone();
        }
    }

    fn take_over(
        &self,
        transport: &TlsTransport,
        state: &TransportState,
        stock: StockFactory,
        profile: Arc<Profile>,
    ) {
        let name = &transport.name;
        let Some(address) = state.address() else {
            log::error!("transport '{name}': it has no address to listen on; it stays pjproject's");
            return;
        };
        let connector = Arc::new(Endpoint {
            pool: Arc::clone(&self.pool),
            name: name.as_str().into(),
            bind: address,
            options: options::socket(transport),
            state: Mutex::new(EndpointState {
                profile,
                listener: None,
                closed: false,
            }),
        });
        let Some(factory) = factory_like(stock, name, connector.clone()) else {
            log::error!("transport '{name}': no memory; it stays pjproject's");
            return;
        };
        state.put(&factory);
        stock.close();
        if let Err(reason) = self.open(&connector, &factory) {
            log::error!("transport '{name}': {reason}; it goes back to pjproject");
            give_back(name, &factory, transport);
            return;
        }
        let adopted = Adopted {
            connector,
            factory,
            transport: transport.clone(),
        };
        self.adopted().insert(name.clone(), adopted);
        log::info!("transport '{name}' ({address}) is Ciphertrunk's");
    }

    /// Listens, and lets pjsip know.
    fn open(&self, connector: &Endpoint, factory: &FactoryRef) -> Result<(), String> {
        let mut state = connector.state();
        // Without a certificate nobody can connect here, but we can connect out: as stock.
        if state.profile.can_listen() {
            let data = || ListenerData {
                name: Arc::clone(&connector.name),
                factory: factory.clone(),
            };
            let listener = self
                .listen(connector.bind, &state.profile, connector.options, data)
                .map_err(|error| format!("it cannot listen on {}: {error}", connector.bind))?;
            state.listener = Some(listener);
        }
        drop(state);
        factory
            .register()
            .map_err(|status| format!("pjsip refused its factory ({})", status.raw()))
    }

    fn listen(
        &self,
        address: SocketAddr,
        profile: &Arc<Profile>,
        options: SocketOptions,
        data: impl Fn() -> ListenerData,
    ) -> std::io::Result<Listener<ListenerData>> {
        let mut tries = 0;
        loop {
            let config = ListenerConfig {
                address,
                profile: Arc::clone(profile),
                options,
            };
            match self.pool.listen(config, data()) {
                Err(error)
                    if error.kind() == std::io::ErrorKind::AddrInUse && tries < BIND_TRIES =>
                {
                    tries += 1;
                    // PJSIP's thread at a reload, as stock waits there itself.
                    std::thread::sleep(BIND_PAUSE);
                }
                other => return other,
            }
        }
    }

    /// Stock's listeners again.
    pub fn give_back_all(&self) {
        let _turn = self.turn();
        let transports = tls_transports();
        for (name, adopted) in std::mem::take(&mut *self.adopted()) {
            // One that is no longer configured, or not well, Asterisk keeps as it was.
            let configured = transports.iter().find(|transport| transport.name == name);
            give_back(
                &name,
                &adopted.factory,
                configured.unwrap_or(&adopted.transport),
            );
        }
    }

    /// What listens.
    pub fn listening(&self) -> Vec<Listening> {
        self.adopted()
            .iter()
            .map(|(name, adopted)| {
                let state = adopted.connector.state();
                Listening {
                    name: name.clone(),
                    address: state
                        .listener
                        .as_ref()
                        .map_or_else(|| "-".to_owned(), |it| it.address().to_string()),
                    certificate: state.profile.own_certificate().map_or_else(
                        || "none".to_owned(),
                        |it| {
                            let hex: String = it
                                .sha256
                                .iter()
                                .map(|octet| format!("{octet:02x}"))
                                .collect();
                            format!("{} sha256 {hex}", it.subject.info)
                        },
                    ),
                }
            })
            .collect()
    }
}

/// Stock's listener in the place of ours.
fn give_back(name: &str, factory: &FactoryRef, transport: &TlsTransport) {
    factory.retire();
    let state = TransportState::of(name).filter(|state| state.has(factory));
    if let Some(state) = state
        && !state.give_back(transport)
    {
        log::error!("transport '{name}': pjproject cannot listen again; reload res_pjsip.so");
    }
}

impl Observer for Adopter {
    fn loading(&self) {
        let _turn = self.turn();
        for (name, adopted) in &*self.adopted() {
            if let Some(state) = TransportState::of(name) {
                let file = |option| adopted.transport.option(option).map(Path::new);
                state.refresh_file_times(file("cert_file"), file("priv_key_file"));
            }
        }
    }

    fn loaded(&self) {
        self.adopt_all();
    }
}

/// What a factory connects and listens with.
struct Endpoint {
    pool: Arc<Pool<Sip>>,
    name: Arc<str>,
    bind: SocketAddr,
    options: SocketOptions,
    state: Mutex<EndpointState>,
}

struct EndpointState {
    profile: Arc<Profile>,
    listener: Option<Listener<ListenerData>>,
    closed: bool,
}

impl Endpoint {
    fn state(&self) -> MutexGuard<'_, EndpointState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_profile(&self, profile: Arc<Profile>) {
        let mut state = self.state();
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
        factory: &FactoryRef,
        remote: SocketAddr,
        name: &str,
    ) -> Result<(SipTransport, Begin), Status> {
        let profile = {
            let state = self.state();
            if state.closed {
                return Err(Status::CANCELLED);
            }
            Arc::clone(&state.profile)
        };
        let local = self.local();
        let shown = local.unwrap_or(self.bind);
        let carrier = Arc::new(TlsCarrier::default());
        let sip = SipTransport::create(
            factory,
            Direction::Outgoing,
            shown,
            remote,
            name,
            carrier.clone(),
        )?;
        let wanted = if name.is_empty() {
            remote.ip().to_string()
        } else {
            name.to_owned()
        };
        let target = Target {
            remote,
            local,
            name: PeerName::parse(&wanted),
            profile,
            options: self.options,
        };
        let (pool, transport_name) = (Arc::clone(&self.pool), Arc::clone(&self.name));
        let begin: Begin = Box::new(move |sip| {
            let begun = pool.connect(target, |conn| {
                // It cannot have one yet.
                let _ = carrier.0.set(conn.clone());
                Connection::outgoing(sip, conn, transport_name, shown, wanted)
            });
            begun.is_ok()
        });
        Ok((sip, begin))
    }

    fn close(&self) {
        let listener = {
            let mut state = self.state();
            state.closed = true;
            state.listener.take()
        };
        drop(listener);
    }
}
