//! Ciphertrunk: encrypted calling for Asterisk, as one module.
//!
//! The rooms:
//!
//! - [`ffi`] is the only code that sees Asterisk's C
//! - [`config`] reads `ciphertrunk.conf`
//! - [`probe`] asks whether the Asterisk that loads us is one that we were built for
//! - [`media`] is the SRTP engine (`ast_srtp_res`, `ast_srtp_policy_res`, `ast_sdp_crypto_api`) on `crates/srtp`
//! - [`transport`] is SIP over TLS (`pjsip_tpfactory`, `pjsip_transport`) on `crates/sip-tls`
//! - [`observe`] is what an operator sees: the console
//!
//! Load, reload and unload are here. Asterisk calls the three under its module lock, so one at a time.

mod config;
mod ffi;
mod media;
mod observe;
mod probe;
#[cfg(feature = "pjsip")]
mod transport;
#[cfg(not(feature = "pjsip"))]
#[path = "transport_none.rs"]
mod transport;

use std::ffi::c_int;
use std::sync::{Arc, Mutex, PoisonError};

use ffi::cli::Registered;
use ffi::guard::{self, guard};
use ffi::host::{self, Unloaded};
use ffi::late::{self, Absent};
use ffi::session::{self, Supplement};
use ffi::srtp_engine::{self, Owner};
use ffi::{module_ref, sdp_crypto};
use media::registry;
use media::watch::{self, Watch};
use transport::Tls;

/// `AST_MODULE_LOAD_SUCCESS`.
const LOADED: c_int = 0;
/// `AST_MODULE_LOAD_DECLINE`: Asterisk goes on without us, unless `modules.conf` requires the module.
const DECLINED: c_int = 1;
/// What `unload` answers when it refuses.
const REFUSED: c_int = -1;

/// What is registered with Asterisk while the module is loaded; dropped in this order.
struct Loaded {
    _commands: Registered,
    /// `None` while the engine is given away: it would take it back.
    watch: Option<Watch>,
    /// `None` without PJSIP.
    _supplement: Option<Supplement>,
    /// `None`: the TLS transports are pjproject's. Shared with who asks them: that may wait for PJSIP.
    tls: Option<Arc<Tls>>,
}

static LOADED_STATE: Mutex<Option<Loaded>> = Mutex::new(None);

#[unsafe(no_mangle)]
extern "C" fn ciphertrunk_load() -> c_int {
    ffi::log::install();
    guard::install();
    guard(DECLINED, || match load() {
        Ok(loaded) => {
            *LOADED_STATE.lock().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
            LOADED
        }
        Err(reason) => {
            log::error!("Ciphertrunk is not loaded: {reason}");
            guard::remove();
            DECLINED
        }
    })
}

fn load() -> Result<Loaded, String> {
    if let Some(notice) = probe::asterisk().map_err(|unfit| unfit.to_string())? {
        log::info!("{notice}");
    }
    let pjsip = match late::find() {
        Ok(pjsip) => Some(pjsip),
        Err(absent @ (Absent::NotBuiltIn | Absent::NotLoaded(_))) => {
            log::info!(
                "{absent}: Ciphertrunk is the SRTP engine alone, and serves no SIP over TLS"
            );
            None
        }
        Err(lacks) => return Err(lacks.to_string()),
    };
    #[cfg(feature = "pjsip")]
    if let Some(pjsip) = pjsip {
        probe::pjproject(pjsip).map_err(|unfit| unfit.to_string())?;
    }
    packet_crypto::kernels()
        .self_test()
        .map_err(|error| format!("the packet-crypto self-test failed: {error}"))?;
    config::load();
    take_engine()?;
    let watch = watch::start().map_err(|error| {
        release_engine();
        format!("no thread for the watch over the engine: {error}")
    })?;
    let loaded = Loaded {
        _commands: ffi::cli::register(observe::cli::COMMANDS),
        watch: Some(watch),
        _supplement: pjsip.map(|_| session::register()),
        tls: pjsip.and_then(|_| start_tls()),
    };
    ffi::log::verbose(
        2,
        &format!(
            "Ciphertrunk {} is the SRTP engine, with the kernel {}",
            env!("CARGO_PKG_VERSION"),
            config::current().kernels.name()
        ),
    );
    Ok(loaded)
}

/// Takes over the TLS transports. Where that fails they stay pjproject's, which is TLS too, and the reason is in the log.
fn start_tls() -> Option<Arc<Tls>> {
    #[cfg(feature = "pjsip")]
    if let Err(error) = sip_tls::acquire() {
        log::warn!(
            "OpenSSL keeps a pointer into this library ({error:?}): after an unload it stays mapped"
        );
    }
    transport::start()
        .inspect_err(|reason| log::error!("the TLS transports stay pjproject's: {reason}"))
        .ok()
        .map(Arc::new)
}

/// Gives the TLS transports back. `false`: PJSIP still points to one, or a command still asks them.
fn stop_tls(loaded: &mut Loaded) -> bool {
    match loaded.tls.take().map(Arc::try_unwrap) {
        None => true,
        Some(Ok(tls)) => tls.stop(),
        Some(Err(asked)) => {
            loaded.tls = Some(asked);
            false
        }
    }
}

/// Asks the TLS transports, if they are ours. No lock of this file is held meanwhile.
fn with_tls<R>(ask: impl FnOnce(&Tls) -> R) -> Option<R> {
    let tls = LOADED_STATE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_ref()?
        .tls
        .clone()?;
    Some(ask(&tls))
}

/// Makes ours Asterisk's engine. Stock's is unloaded first when nothing uses it.
fn take_engine() -> Result<(), String> {
    if srtp_engine::owner() != Owner::Nobody && host::unload_module("res_srtp.so") == Unloaded::Gone
    {
        log::info!(
            "res_srtp.so was loaded first and is unloaded; `noload = res_srtp.so` in modules.conf saves that"
        );
    }
    if !srtp_engine::register() {
        return Err("another SRTP engine is in use. Put `noload = res_srtp.so` into modules.conf and restart Asterisk, or \
                    load this module when no encrypted call is up"
            .to_owned());
    }
    if !sdp_crypto::register() {
        srtp_engine::unregister();
        return Err("another module negotiates SDES (ast_sdp_crypto_api)".to_owned());
    }
    Ok(())
}

fn release_engine() {
    sdp_crypto::unregister();
    srtp_engine::unregister();
}

#[unsafe(no_mangle)]
extern "C" fn ciphertrunk_reload() -> c_int {
    guard(REFUSED, || {
        config::load();
        with_tls(Tls::reload);
        LOADED
    })
}

/// Whether Asterisk could still call into us.
fn in_use() -> bool {
    registry::count() + module_ref::held() + session::count() > 0
}

/// Takes up again what an unload has given away.
fn stay(mut loaded: Loaded) {
    if let Err(reason) = take_engine() {
        log::error!("the SRTP engine could not be taken back: {reason}");
    }
    match watch::start() {
        Ok(watch) => loaded.watch = Some(watch),
        Err(error) => log::error!("no thread for the watch over the engine: {error}"),
    }
    if loaded.tls.is_none() && loaded._supplement.is_some() {
        loaded.tls = start_tls();
    }
    *LOADED_STATE.lock().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
}

#[unsafe(no_mangle)]
extern "C" fn ciphertrunk_unload() -> c_int {
    guard(REFUSED, || {
        // Asterisk's use count says the same, but a forced unload ignores it.
        if in_use() {
            log::warn!(
                "Ciphertrunk stays loaded: {} SRTP sessions and {} TLS connections are up",
                registry::count(),
                transport::live()
            );
            return REFUSED;
        }
        let mut loaded = LOADED_STATE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(loaded) = &mut loaded {
            loaded.watch = None;
        }
        // No new user from here on; one that came in between keeps us.
        release_engine();
        if let Some(mut loaded) = loaded {
            let idle = !in_use() && stop_tls(&mut loaded) && !in_use();
            if !idle {
                stay(loaded);
                log::warn!("Ciphertrunk stays loaded: a call or a connection has just begun");
                return REFUSED;
            }
        }
        transport::forget_openssl();
        log::info!(
            "Ciphertrunk is unloaded: Asterisk has no SRTP engine now, and calls that need one are refused"
        );
        guard::remove();
        LOADED
    })
}
