//! Taking over stock's listeners.
//!
//! Everything here runs in a thread of PJSIP's: nobody else changes a transport's factory meanwhile.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sip_tls::verify::PeerName;
use sip_tls::{Listener, ListenerConfig, Pool, Profile, SocketOptions, Target};

use crate::config;
use crate::ffi::pjsip::Status;
use crate::ffi::pjsip::config::{
    Observer, TlsTransport, TransportState, reclaim_factories, tls_transports,
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
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// The transports that are ours.
pub struct Adopter {
    pool: Arc<Pool<Sip>>,
    adopted: Mutex<BTreeMap<String, Adopted>>,
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
        }
    }

    fn adopted(&self) -> MutexGuard<'_, BTreeMap<String, Adopted>> {
        // Entries are put in and taken out whole.
        self.adopted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what is stock's, and reads the certificates of what is ours again. A transport that cannot be taken over
    /// stays stock's, and one whose new certificate is bad keeps the old one; both are said.
    pub fn adopt_all(&self) {
        let transports = tls_transports();
        let leave = &config::current().leave_alone;
        for transport in &transports {
            if leave.contains(&transport.name) {
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
                self.renew(transport, &state, profile);
            } else if let Some(stock) = state.stock()
                && let Err(reason) = self.take_over(transport, &state, stock, profile)
            {
                log::error!(
                    "transport '{}': {reason}; it is not Ciphertrunk's",
                    transport.name
                );
            }
        }
        let names: Vec<String> = transports
            .into_iter()
            .map(|transport| transport.name)
            .collect();
        self.adopted().retain(|name, adopted| {
            TransportState::of(name).is_some_and(|state| state.has(&adopted.factory))
        });
        reclaim_factories(&names);
    }

    /// New connections get the new profile; those that are up keep theirs.
    fn renew(&self, transport: &TlsTransport, state: &TransportState, profile: Arc<Profile>) {
        let mut adopted = self.adopted();
        if let Some(adopted) = adopted
            .get_mut(&transport.name)
            .filter(|adopted| state.has(&adopted.factory))
        {
            adopted.connector.set_profile(profile);
            (adopted.certificate, adopted.key) = options::files(transport);
        }
    }

    fn take_over(
        &self,
        transport: &TlsTransport,
        state: &TransportState,
        stock: StockFactory,
        profile: Arc<Profile>,
    ) -> Result<(), String> {
        let address = state.address().ok_or("it has no address to listen on")?;
        let name: Arc<str> = transport.name.as_str().into();
        let connector = Arc::new(Endpoint {
            pool: Arc::clone(&self.pool),
            name: Arc::clone(&name),
            bind: address,
            options: options::socket(transport),
            state: Mutex::new(EndpointState {
                profile: Arc::clone(&profile),
                listener: None,
                closed: false,
            }),
        });
        let factory =
            FactoryRef::like(stock, &transport.name, connector.clone()).ok_or("no memory")?;
        state.put(&factory);
        stock.close();
        let (certificate, key) = options::files(transport);
        let adopted = Adopted {
            connector: Arc::clone(&connector),
            factory: factory.clone(),
            certificate,
            key,
        };
        self.adopted().insert(transport.name.clone(), adopted);
        // Without a certificate nobody can connect here, but we can connect out: as stock.
        if profile.can_listen() {
            let listener = self
                .listen(address, &profile, connector.options, || ListenerData {
                    name: Arc::clone(&name),
                    factory: factory.clone(),
                })
                .map_err(|error| format!("it cannot listen on {address}: {error}"))?;
            connector.state().listener = Some(listener);
        }
        factory
            .register()
            .map_err(|status| format!("pjsip refused its factory ({})", status.raw()))?;
        log::info!(
            "transport '{}' ({address}) is Ciphertrunk's",
            transport.name
        );
        Ok(())
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
        let adopted = std::mem::take(&mut *self.adopted());
        let transports = tls_transports();
        for (name, adopted) in adopted {
            adopted.factory.retire();
            let state = TransportState::of(&name).filter(|state| state.has(&adopted.factory));
            let transport = transports.iter().find(|transport| transport.name == name);
            if let (Some(state), Some(transport)) = (state, transport)
                && !state.give_back(transport)
            {
                log::error!(
                    "transport '{name}': pjproject could not listen again; reload res_pjsip.so"
                );
            }
        }
    }

    /// Frees what nobody uses any more.
    pub fn reclaim(&self) {
        reclaim_factories(
            &tls_transports()
                .into_iter()
                .map(|transport| transport.name)
                .collect::<Vec<_>>(),
        );
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

impl Observer for Adopter {
    fn loading(&self) {
        for (name, adopted) in &*self.adopted() {
            if let Some(state) = TransportState::of(name) {
                state.refresh_file_times(adopted.certificate.as_deref(), adopted.key.as_deref());
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
            let mut sip = Some(sip);
            let begun = pool.connect(target, |conn| {
                // Neither can be: it is the first, and the closure runs once.
                let _ = carrier.0.set(conn.clone());
                Connection::outgoing(
                    sip.take().expect("runs once"),
                    conn,
                    transport_name,
                    shown,
                    wanted,
                )
            });
            if let Some(sip) = sip {
                // The pool is stopped and never asked.
                sip.abandon();
            }
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
