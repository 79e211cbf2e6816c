//! Load, reload, drain and unload.
//!
//! Asterisk calls load, reload and unload with its list of modules locked, so one at a time. A drain is a console's, on any
//! thread: it holds [`MODULE`] meanwhile, and an unload does not wait for that.

use crate::config;
#[cfg(feature = "pjsip")]
use crate::demand;
use crate::drain;
use crate::ffi::late::{self, Absent, Kept};
use crate::ffi::libsrtp_guard;
use crate::ffi::mapped::Mapped;
use crate::ffi::srtp::{self, Owner};
use crate::ffi::sync::Mutex;
use crate::ffi::{datastore, fault, module_ref};
use crate::keylog;
use crate::limited;
use crate::media::{calls, registry};
use crate::observe::in_force;
use crate::probe;
use crate::transport::{self, Which};

mod registrations;

use registrations::{Module, done};

/// `None`: not loaded, or an unload has it. A drain holds the lock while PJSIP's threads and Asterisk work for it, so nobody
/// else waits for it: an unload [tries](Mutex::try_lock).
static MODULE: Mutex<Option<Module>> = Mutex::new(None);

/// Loads the module.
///
/// # Errors
///
/// A sentence for the log. Nothing is registered then.
pub fn load() -> Result<(), String> {
    if still_loaded() {
        return Ok(());
    }
    fault::arm_from_file();
    drain::end();
    if let Some(notice) = probe::asterisk().map_err(|unfit| unfit.to_string())? {
        log::info!("{notice}");
    }
    let pjsip = find_pjsip()?;
    done("load-probe")?;
    packet_crypto::kernels()
        .self_test()
        .map_err(|error| format!("the packet-crypto self-test failed: {error}"))?;
    done("load-self-test")?;
    let module = Module::take_up(pjsip)?;
    *MODULE.lock() = Some(module);
    in_force::tell();
    Ok(())
}

/// Whether Asterisk loads what has never gone: an unload by force (`module unload -h`) was refused, and Asterisk has closed
/// its handle of the library all the same. It gets another one.
fn still_loaded() -> bool {
    let module = MODULE.lock();
    if module.is_none() {
        return false;
    }
    if let Some(mapped) = Mapped::open() {
        mapped.leak();
    }
    log::info!("the module was never gone: an unload by force had been refused");
    true
}

/// Finds PJSIP, if it is there.
fn find_pjsip() -> Result<Option<Kept>, String> {
    match late::find() {
        Ok(kept) => {
            #[cfg(feature = "pjsip")]
            probe::pjproject(kept.pjsip()).map_err(|unfit| unfit.to_string())?;
            Ok(Some(kept))
        }
        Err(Absent::Without(reason)) => {
            log::info!(
                "{reason}: Ciphertrunk is the SRTP engine alone, and serves no SIP over TLS"
            );
            Ok(None)
        }
        Err(lacks @ Absent::Lacks(_)) => Err(lacks.to_string()),
    }
}

/// Reads the configuration and the certificates again. `false`: something of it could not be put in force, and the log says what.
///
/// Asterisk's loader calls it, and the console.
pub fn reload() -> bool {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    let is_good = config::load();
    #[cfg(feature = "pjsip")]
    if let Some(mut module) = MODULE.try_lock()
        && let Some(demands) = module.as_mut().and_then(|module| module.demands.as_mut())
    {
        demands.look_again();
    }
    // It may demand what was not demanded when a drain began.
    if drain::is_on()
        && let Some(mut module) = MODULE.try_lock()
        && let Some(module) = module.as_mut()
        && let Err(reason) = module.take_supplement()
    {
        log::error!("new calls are not looked at: {reason}");
    }
    #[cfg(feature = "pjsip")]
    let is_good = transport::current().is_none_or(|tls| {
        tls.reload();
        tls.is_whole()
    }) && is_good;
    in_force::tell_if_changed();
    is_good
}

/// Begins a drain: no new encrypted call, no new connection. `false`: the module is being unloaded.
pub fn drain() -> bool {
    let mut module = MODULE.lock();
    let Some(module) = module.as_mut() else {
        return false;
    };
    let is_new = drain::begin();
    // Each session that has a copy of it is a use of the module; new ones have none, unless they may have demands.
    #[cfg(feature = "pjsip")]
    let are_new_seen = demand::may_be();
    #[cfg(not(feature = "pjsip"))]
    let are_new_seen = false;
    if !are_new_seen {
        module.stop_looking();
    }
    if let Some(tls) = transport::current() {
        tls.give_back();
    }
    transport::close(Which::Idle);
    if is_new {
        log::info!(
            "draining: new encrypted calls are refused, the TLS transports are pjproject's, idle connections are closed ({}). \
             `ciphertrunk drain cancel` takes everything back",
            drain::Left::now()
        );
    }
    true
}

/// Calls the drain off: everything is ours again. `false`: the module is being unloaded.
pub fn cancel_drain() -> bool {
    let mut module = MODULE.lock();
    let Some(module) = module.as_mut() else {
        return false;
    };
    if !drain::end() {
        return true;
    }
    module.take_back();
    if let Some(tls) = transport::current() {
        tls.take_back();
    }
    log::info!("the drain is called off: new calls and the TLS transports are Ciphertrunk's again");
    true
}

/// Unloads the module. `false`: it stays, and the reason is in the log.
pub fn unload() -> bool {
    // Asterisk's use count says the same, but a forced unload ignores it.
    let (sessions, calls, held) = (registry::count(), calls::count(), module_ref::held());
    if sessions + calls + held > 0 {
        log::warn!(
            "the module stays loaded: {sessions} SRTP sessions, {calls} calls and {} TLS connections are up, and {} demands of channels are kept",
            transport::live(),
            datastore::count()
        );
        return false;
    }
    // Without waiting: a console that has it may wait for a thread that waits for the list of modules, which is locked here.
    let Some(module) = MODULE.try_lock().map(|mut module| module.take()) else {
        log::warn!("the module stays loaded: a console is running `ciphertrunk drain`");
        return false;
    };
    let Some(mut module) = module else {
        // An unload that panicked has dropped everything. The engine's drop leaves it where a session still has it.
        return srtp::owner() != Owner::Ours && module_ref::close();
    };
    if let Err(reason) = module.give_up() {
        module.take_back();
        *MODULE.lock() = Some(module);
        log::warn!("the module stays loaded: {reason}");
        return false;
    }
    drop(module);
    keylog::stop(&keylog::End::Unloaded);
    drain::end();
    limited::flush();
    libsrtp_guard::forget_stock();
    log::info!(
        "the module is unloaded: Asterisk has no SRTP engine now, and calls that need one are refused"
    );
    true
}
