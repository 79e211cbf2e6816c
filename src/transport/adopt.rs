//! Taking over stock's listeners, and giving them back.
//!
//! It is done in threads of PJSIP's, where listeners are opened and closed. PJSIP has many of those: transports change hands
//! under one lock of ours, and Asterisk orders load, reload and unload of modules.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use policy::reasons::call::{Signaling, of_signaling};
use sip_tls::{Files, Inputs, Listener, ListenerConfig, Pool, Profile, SocketOptions};

use crate::config;
use crate::ffi::pjsip::factory::FactoryRef;
use crate::ffi::pjsip::servant::SipThread;
use crate::ffi::pjsip::sorcery::{Observer, TlsTransport, tls_transports};
use crate::ffi::pjsip::stock::StockFactory;
use crate::ffi::pjsip::thread::PjThread;
use crate::ffi::pjsip::transport_state::TransportState;
use crate::ffi::sync::Mutex;
use crate::observe::refusals::{self, Who};

use super::endpoint::{Endpoint, State};
use super::events::{ListenerData, Sip};
use super::options::Loaded;
use super::words::{self, Written};
use super::{connections, expiry, factories, options};

mod renew;
mod shown;

pub use shown::Listening;

/// Tries to bind an address that stock has just closed.
const BIND_TRIES: u32 = 10;
/// Between the tries to bind.
const BIND_PAUSE: Duration = Duration::from_millis(20);

/// One transport that is ours.
struct Adopted {
    endpoint: Arc<Endpoint>,
    factory: FactoryRef,
    /// As it is in force.
    transport: TlsTransport,
    /// As it is to be: another than `transport` while something is wrong with that.
    wanted: TlsTransport,
    /// What its profile was made of.
    inputs: Inputs,
    /// What one was to be made of last; `None`: a word is wrong.
    tried: Option<Inputs>,
    /// What was said of that.
    warnings: Vec<String>,
}

impl Adopted {
    /// Whether no profile of its peers is bad.
    fn has_all_profiles(&self) -> bool {
        let state = self.endpoint.state.lock();
        state.profile.named().iter().all(|it| it.profile.is_ok())
    }

    /// Puts a profile in force. One that is made of the same stays the one that it is, with the sessions that can be resumed, unless it has
    /// keys in a token, which may have gone from there.
    fn renew(&mut self, loaded: Loaded) {
        if self.inputs != loaded.inputs || loaded.profile.has_token_keys() {
            self.endpoint.set_profile(loaded.profile);
        }
        self.tried = Some(loaded.inputs.clone());
        self.inputs = loaded.inputs;
        self.warnings = loaded.warnings;
    }
}

/// Whose the transports are to be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    #[default]
    Ours,
    /// Stock's: they were given back, and a reload leaves them there.
    Stocks,
}

/// The transports that are ours.
pub struct Adopter {
    pool: Arc<Pool<Sip>>,
    /// By name. The lock is not held while PJSIP is called: the console asks what listens.
    adopted: Mutex<BTreeMap<String, Adopted>>,
    /// The `protocol=tls` transports that are not ours, and why: as of the latest look.
    left: Mutex<BTreeMap<String, String>>,
    /// Certificate and key of each transport as Asterisk has loaded them, whether they could be used or not: as of the latest look.
    loaded_files: Mutex<Vec<(String, [Option<PathBuf>; 2])>>,
    /// The latest look could not put everything in force.
    failed: AtomicBool,
    /// Held while transports change hands.
    changing: Mutex<Wanted>,
    /// Where it is said which files are watched; `None`: none can be, which is logged.
    files: Option<Files>,
}

impl Adopter {
    /// Nothing is ours yet.
    pub fn new(pool: Arc<Pool<Sip>>, files: Option<Files>) -> Self {
        Self {
            pool,
            files,
            adopted: Mutex::default(),
            left: Mutex::default(),
            loaded_files: Mutex::default(),
            failed: AtomicBool::new(false),
            changing: Mutex::default(),
        }
    }

    /// Takes over what is stock's, and reads the certificates of what is ours again. A transport that cannot be taken over
    /// stays stock's, and one whose new certificate is bad keeps the old one; both are said. A transport that is now to be
    /// left alone becomes stock's again. Nothing while all are [given back](Self::give_back_all).
    pub fn adopt_all(&self, thread: &SipThread) {
        let wanted = self.changing.lock();
        if *wanted == Wanted::Ours {
            self.adopt_each(thread);
        }
    }

    /// [`adopt_all`](Self::adopt_all) after [`give_back_all`](Self::give_back_all).
    pub fn take_back_all(&self, thread: &SipThread) {
        let mut wanted = self.changing.lock();
        *wanted = Wanted::Ours;
        self.adopt_each(thread);
    }

    /// With `changing` held.
    fn adopt_each(&self, thread: &SipThread) {
        self.forget_replaced(thread);
        self.left.lock().clear();
        self.failed.store(false, Ordering::Relaxed);
        let config = config::current();
        let leave = &config.leave_alone;
        let mut look = options::Look::default();
        let written = Written::read();
        let mut transports = tls_transports(thread);
        *self.loaded_files.lock() = transports.iter().map(loaded_files).collect();
        for transport in &mut transports {
            written.put_into(transport, self.wanted(&transport.name).as_ref());
            if leave.contains(&transport.name) {
                let adopted = self.adopted.lock().remove(&transport.name);
                if let Some(adopted) = adopted {
                    give_back(thread, &transport.name, &adopted.factory, transport);
                }
                self.leave(
                    transport,
                    "[tls] leave_alone in ciphertrunk.conf names it".to_owned(),
                );
                continue;
            }
            let Some(state) = TransportState::of(thread, &transport.name) else {
                self.leave(
                    transport,
                    "Asterisk has not started it; its own line in the log says why".to_owned(),
                );
                continue;
            };
            let ours = state.is_ours();
            let in_force = self.in_force(&transport.name).filter(|_| ours);
            let loaded = match options::profile(transport, in_force.as_deref(), &mut look) {
                Ok(loaded) => {
                    self.failed.fetch_or(loaded.is_partial, Ordering::Relaxed);
                    loaded
                }
                Err(reason) => {
                    let stays = if ours {
                        "the old certificate stays, and so do all TLS options"
                    } else {
                        "it stays pjproject's"
                    };
                    self.failed.store(true, Ordering::Relaxed);
                    if ours {
                        self.keep_warning(transport, format!("{reason}; {stays}"));
                        log::error!("transport '{}': {reason}; {stays}", transport.name);
                    } else {
                        self.not_taken(transport, &format!("{reason}; {stays}"));
                    }
                    continue;
                }
            };
            if ours {
                state.set_verification(transport);
                self.renew(transport, loaded);
            } else if let Some(stock) = state.stock() {
                self.take_over(thread, transport, &state, stock, loaded);
            } else {
                self.leave(transport, "nothing listens for it".to_owned());
            }
        }
        self.watch_files();
        expiry::set_own(self.certificates());
        self.shut_down_changed(thread.pj());
    }

    /// Lets nothing new go by connections that were made under other demands than those in force.
    fn shut_down_changed(&self, thread: PjThread) {
        let profiles: Vec<(String, Arc<Profile>)> = {
            let adopted = self.adopted.lock();
            let each = adopted.iter();
            each.map(|(name, it)| (name.clone(), Arc::clone(&it.endpoint.state.lock().profile)))
                .collect()
        };
        for (name, profile) in profiles {
            let count = connections::shut_down_changed(&name, &profile, thread);
            if count > 0 {
                log::info!(
                    "transport '{name}': {count} connections were made under another profile, other options of it, or other CAs or revocation lists, \
                     than their peers have now: nothing new goes by them, and the next request opens another"
                );
            }
        }
    }

    /// A transport is not ours, as it should be.
    fn leave(&self, transport: &TlsTransport, reason: String) {
        self.left.lock().insert(transport.name.clone(), reason);
    }

    /// A transport is not ours, and should be.
    fn not_taken(&self, transport: &TlsTransport, reason: &str) {
        self.failed.store(true, Ordering::Relaxed);
        let code = of_signaling(&Signaling::NotAdopted).code;
        let who = Who {
            endpoint: &transport.name,
            ..Who::default()
        };
        refusals::note(code, who, format_args!("{reason}"));
        log::error!("transport '{}': {reason}, reason {code}", transport.name);
        self.leave(transport, reason.to_owned());
    }

    /// The profile of a transport of ours.
    fn in_force(&self, name: &str) -> Option<Arc<Profile>> {
        let adopted = self.adopted.lock();
        let state = adopted.get(name)?.endpoint.state.lock();
        Some(Arc::clone(&state.profile))
    }

    /// As a transport of ours is to be.
    fn wanted(&self, name: &str) -> Option<TlsTransport> {
        let adopted = self.adopted.lock();
        Some(adopted.get(name)?.wanted.clone())
    }

    /// What is wrong with the new configuration of a transport of ours.
    fn keep_warning(&self, transport: &TlsTransport, warning: String) {
        if let Some(adopted) = self.adopted.lock().get_mut(&transport.name) {
            adopted.wanted = transport.clone();
            adopted.tried = options::inputs(transport);
            if !adopted.warnings.contains(&warning) {
                adopted.warnings.push(warning);
            }
        }
    }

    /// Forgets what Asterisk has replaced by a listener of stock's.
    fn forget_replaced(&self, thread: &SipThread) {
        let ours: Vec<(String, FactoryRef)> = {
            let adopted = self.adopted.lock();
            let pairs = adopted.iter();
            pairs
                .map(|(name, adopted)| (name.clone(), adopted.factory.clone()))
                .collect()
        };
        for (name, factory) in ours {
            let state = TransportState::of(thread, &name);
            if !state.is_some_and(|state| state.points_to(factory.factory())) {
                let replaced = self.adopted.lock().remove(&name);
                // What replaced it may have closed it or not: nothing listens with it, and pjsip has it in no list, from here on.
                factory.retire(thread.pj());
                drop(replaced);
            }
        }
    }

    fn renew(&self, transport: &TlsTransport, loaded: Loaded) {
        let before = {
            let mut all = self.adopted.lock();
            let Some(adopted) = all.get_mut(&transport.name) else {
                return;
            };
            adopted.renew(loaded);
            adopted.wanted = transport.clone();
            std::mem::replace(&mut adopted.transport, transport.clone())
        };
        // Asterisk says at the same reload that it has not done that.
        let changed = words::changed(&before, transport);
        if !changed.is_empty() && !transport.flag("allow_reload") {
            log::info!(
                "transport '{}': {} changed in pjsip.conf and is in force for new connections. Where Asterisk says that the transport \
                 cannot be restarted for it, or that its TLS options are not reloaded, it speaks of pjproject's listener, which does not \
                 serve this transport",
                transport.name,
                changed.join(", ")
            );
        }
    }

    fn take_over(
        &self,
        thread: &SipThread,
        transport: &TlsTransport,
        state: &TransportState<'_>,
        stock: StockFactory<'_>,
        loaded: Loaded,
    ) {
        let name = &transport.name;
        let Some(address) = state.address() else {
            self.not_taken(
                transport,
                "it has no address to listen on; it stays pjproject's",
            );
            return;
        };
        let endpoint = Arc::new(Endpoint {
            pool: Arc::clone(&self.pool),
            name: name.as_str().into(),
            bind: address,
            options: options::socket(transport),
            state: Mutex::new(State::new(loaded.profile)),
        });
        let Some(factory) = factories::for_transport(thread, name, &stock, &endpoint) else {
            self.not_taken(transport, "no memory; it stays pjproject's");
            return;
        };
        state.put(&factory, stock);
        if let Err(reason) = self.open(thread, &endpoint, &factory) {
            self.not_taken(transport, &format!("{reason}; it goes back to pjproject"));
            give_back(thread, name, &factory, transport);
            return;
        }
        state.set_verification(transport);
        let adopted = Adopted {
            endpoint,
            factory,
            transport: transport.clone(),
            wanted: transport.clone(),
            tried: Some(loaded.inputs.clone()),
            inputs: loaded.inputs,
            warnings: loaded.warnings,
        };
        self.adopted.lock().insert(name.clone(), adopted);
        log::info!("transport '{name}' ({address}) is Ciphertrunk's");
    }

    /// Listens, and lets pjsip know.
    fn open(
        &self,
        thread: &SipThread,
        endpoint: &Endpoint,
        factory: &FactoryRef,
    ) -> Result<(), String> {
        let profile = Arc::clone(&endpoint.state.lock().profile);
        // Without a certificate nobody can connect here, but we can connect out: as stock.
        if profile.can_listen() {
            let data = || ListenerData {
                name: Arc::clone(&endpoint.name),
                factory: factory.clone(),
                address: endpoint.bind,
            };
            let listener = self
                .listen(endpoint.bind, &profile, endpoint.options, data)
                .map_err(|error| format!("it cannot listen on {}: {error}", endpoint.bind))?;
            endpoint.state.lock().listener = Some(listener);
        }
        factory
            .register(thread.pj())
            .map_err(|status| format!("pjsip refused its factory (status {})", status.raw()))
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

    /// Stock's listeners again. Connections that are up stay ours.
    pub fn give_back_all(&self, thread: &SipThread) {
        let mut wanted = self.changing.lock();
        *wanted = Wanted::Stocks;
        expiry::set_own(Vec::new());
        let transports = tls_transports(thread);
        for transport in &transports {
            self.leave(transport, "it was given back: ciphertrunk drain".to_owned());
        }
        let adopted = std::mem::take(&mut *self.adopted.lock());
        for (name, adopted) in adopted {
            // One that is no longer configured, or not well, Asterisk keeps as it was.
            let configured = transports.iter().find(|transport| transport.name == name);
            let transport = configured.unwrap_or(&adopted.transport);
            give_back(thread, &name, &adopted.factory, transport);
        }
    }
}

/// Stock's listener in the place of ours.
fn give_back(thread: &SipThread, name: &str, factory: &FactoryRef, transport: &TlsTransport) {
    factory.retire(thread.pj());
    let state = TransportState::of(thread, name).filter(|state| state.points_to(factory.factory()));
    if let Some(state) = state
        && !state.give_back(transport)
    {
        log::error!("transport '{name}': pjproject cannot listen again; reload res_pjsip.so");
    }
}

/// What Asterisk compares at the next load: names and times of files, with what it has loaded, be that in force or not.
fn loaded_files(transport: &TlsTransport) -> (String, [Option<PathBuf>; 2]) {
    let file = |option| transport.option(option).map(PathBuf::from);
    let files = [file("cert_file"), file("priv_key_file")];
    (transport.name.clone(), files)
}

impl Observer for Adopter {
    fn loading(&self, thread: &SipThread) {
        let _changing = self.changing.lock();
        let files = self.loaded_files.lock().clone();
        for (name, [certificate, key]) in files {
            let state = TransportState::of(thread, &name).filter(TransportState::is_ours);
            if let Some(state) = state {
                state.refresh_file_times(certificate.as_deref(), key.as_deref());
            }
        }
    }

    fn loaded(&self, thread: &SipThread) {
        self.adopt_all(thread);
    }
}
