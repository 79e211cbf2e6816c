//! The states that Asterisk keeps for the transports of `pjsip.conf`: what listens for each.

use std::ffi::{CString, c_char};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::factory::{Factory, FactoryRef};
use super::servant::SipThread;
use super::sorcery::TlsTransport;
use super::stock::StockFactory;
use super::versions;
use super::{address, strings};
use crate::ffi::ao2::Ao2;
use crate::ffi::{c_text, sys};

/// Octets of a factory's `info`; Asterisk makes it 101 at least.
const INFO: usize = 256;

/// The state of a transport. Asterisk makes a new one at each change, so it is asked for anew each time and not kept: not
/// beyond the task that got it.
///
/// Asterisk changes the factory of a state when it applies a transport, under a lock that it has to itself. What keeps that
/// apart from us is that a configuration of files is applied by load and reload alone. A transport of a realtime
/// configuration that is changed while we change it too is a race that stock has with itself.
pub struct TransportState<'thread> {
    /// `ast_sip_transport_state`
    state: Ao2,
    _thread: PhantomData<&'thread SipThread>,
}

impl<'thread> TransportState<'thread> {
    /// The state of transport `name`.
    pub fn of(_: &'thread SipThread, name: &str) -> Option<Self> {
        let name = c_text(name);
        let state =
            // SAFETY: the name lives during the call; NULL or a reference for us comes back.
            unsafe { Ao2::from_raw(sys::ast_sip_get_transport_state(name.as_ptr()).cast())? };
        Some(Self {
            state,
            _thread: PhantomData,
        })
    }

    /// All states: also of transports that are no longer configured, or whose new configuration is bad. Asterisk may come
    /// back to those at any later reload.
    pub fn all(_: &'thread SipThread) -> Vec<Self> {
        // SAFETY: NULL or a new container of the states, with a reference for us.
        let objects = unsafe {
            Ao2::from_raw(sys::ast_sip_get_transport_states().cast())
                .map(|states| states.objects())
                .unwrap_or_default()
        };
        let states = objects.into_iter().map(|state| Self {
            state,
            _thread: PhantomData,
        });
        states.collect()
    }

    fn raw(&self) -> *mut sys::ast_sip_transport_state {
        self.state.as_ptr().cast()
    }

    /// The member that says what listens.
    fn factory(&self) -> &AtomicPtr<sys::pjsip_tpfactory> {
        // SAFETY: an aligned pointer in the state, which our reference keeps. Others read and write it whole.
        unsafe { AtomicPtr::from_ptr(&raw mut (*self.raw()).factory) }
    }

    /// Where it is to listen.
    pub fn address(&self) -> Option<SocketAddr> {
        // SAFETY: our reference keeps the state, and this member is written only when it is made.
        address::to_socket_addr(unsafe { &(*self.raw()).host })
    }

    /// Stock's factory, if stock has one there.
    pub fn stock(&self) -> Option<StockFactory<'_>> {
        let factory = self.factory().load(Ordering::Acquire);
        if Factory::find(factory).is_some() {
            return None;
        }
        // SAFETY: what is not ours is pjproject's, and lives while the state has it: as long as that is so is said above. We
        // are in a thread of PJSIP's, and the result does not outlive this borrow.
        unsafe { StockFactory::new(factory) }
    }

    /// Whether ours is there.
    pub fn is_ours(&self) -> bool {
        Factory::find(self.factory().load(Ordering::Acquire)).is_some()
    }

    /// Whether `factory` is there.
    pub fn points_to(&self, factory: &'static Factory) -> bool {
        ptr::eq(self.factory().load(Ordering::Acquire), factory.base())
    }

    /// Puts ours in the place of stock's, which is closed.
    pub fn put(&self, factory: &FactoryRef, stock: StockFactory<'_>) {
        self.factory().store(factory.base(), Ordering::Release);
        stock.close();
    }

    /// Tells Asterisk that it has seen certificate and key as they are now on disk, so that a touched file does not make
    /// it call pjproject's restart on our factory, which that of before 2.15 does not survive. The files are those that Asterisk has
    /// loaded last.
    pub fn refresh_file_times(&self, certificate: Option<&Path>, key: Option<&Path>) {
        let refresh = |path: Option<&Path>, stat: *mut libc::stat| {
            let path = path.map(|path| CString::new(path.as_os_str().as_encoded_bytes()));
            if let Some(Ok(path)) = path {
                // SAFETY: a `struct stat` of the state's, which our reference keeps; unchanged on failure.
                unsafe { libc::stat(path.as_ptr(), stat) };
            }
        };
        // SAFETY: our reference keeps the state.
        if let Some([certificate_seen, key_seen]) = unsafe { versions::file_times(self.raw()) } {
            refresh(certificate, certificate_seen);
            refresh(key, key_seen);
        }
    }

    /// Tells Asterisk how peers are verified now. It applies that to outgoing connections once more, keeps the old words where the
    /// transport has `allow_reload = no`, and gives them to pjproject's listener.
    pub fn set_verification(&self, transport: &TlsTransport) {
        let flag = |name: &str| transport.flag(name).into();
        let state = self.raw();
        // SAFETY: aligned whole numbers in the state, which our reference keeps; Asterisk writes them when it makes a state, and reads
        // each by itself.
        unsafe {
            (&raw mut (*state).verify_server).write_volatile(flag("verify_server"));
            (&raw mut (*state).allow_wildcard_certs).write_volatile(flag("allow_wildcard_certs"));
            (&raw mut (*state).tls.verify_client).write_volatile(flag("verify_client"));
            (&raw mut (*state).tls.require_client_cert).write_volatile(flag("require_client_cert"));
        }
    }

    /// Starts stock's listener again, in the place of ours, which is retired. `false`: it could not, and nothing is there:
    /// Asterisk leaves a state without a factory alone.
    pub fn give_back(&self, transport: &TlsTransport) -> bool {
        let word = |name: &str| c_text(transport.option(name).unwrap_or_default());
        let (certificate, key, password) =
            (word("cert_file"), word("priv_key_file"), word("password"));
        let (ca_file, ca_path) = (word("ca_list_file"), word("ca_list_path"));
        let mut factory = ptr::null_mut();
        // SAFETY: the settings of a state, which our reference keeps, as Asterisk starts stock with them: it writes them only
        // when it makes a state. The texts in them have gone since then, so ours stand for them during the call; pjsip copies
        // what it keeps. In a thread of PJSIP's, by the type.
        let failed = unsafe {
            let state = self.raw();
            let mut tls = (*state).tls;
            tls.cert_file = strings::pointing_to(&certificate);
            tls.privkey_file = strings::pointing_to(&key);
            tls.password = strings::pointing_to(&password);
            tls.ca_list_file = strings::pointing_to(&ca_file);
            tls.ca_list_path = strings::pointing_to(&ca_path);
            tls.ciphers = (&raw mut (*state).ciphers).cast();
            sys::pjsip_tls_transport_start2(
                sys::ast_sip_get_pjsip_endpoint(),
                &raw const tls,
                &raw const (*state).host,
                ptr::null(),
                1,
                &raw mut factory,
            )
        };
        if failed != 0 || factory.is_null() {
            self.factory().store(ptr::null_mut(), Ordering::Release);
            return false;
        }
        // As Asterisk does: the transport's name is found in `info`, in room enough for what pjsip writes there.
        // SAFETY: a new factory of pjproject's, with a good pool, which nobody has yet. `pj_pool_alloc` gives the octets, or
        // does not return.
        unsafe {
            let info = sys::pj_pool_alloc((*factory).pool, INFO);
            if !info.is_null() {
                strings::fill(info.cast::<[c_char; INFO]>(), &transport.name);
                (*factory).info = info.cast();
            }
        }
        self.factory().store(factory, Ordering::Release);
        true
    }
}
