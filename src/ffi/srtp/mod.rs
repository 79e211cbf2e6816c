//! `ast_srtp_res` and `ast_srtp_policy_res`: the tables by which Asterisk uses an SRTP engine, over an [`Engine`], which
//! knows no C.
//!
//! `struct ast_srtp *` is an `Arc<Attached<E::Session>>` that Asterisk owns one count of; `struct ast_srtp_policy *` is a
//! boxed `E::Policy` that it owns. Nothing else of these types comes in through the tables: Asterisk hands back what
//! `create` and `alloc` gave.

mod attached;
mod policy;
mod session;

use std::ffi::c_int;
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};

use super::owned::{ForeignOwnable, give};
use super::rtp::RtpInstance;
use super::sys;

pub use attached::{Attached, is_session_of};

const FAILED: c_int = -1;

fn status(done: bool) -> c_int {
    if done { 0 } else { FAILED }
}

/// RTP or RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Media.
    Rtp,
    /// Its reports.
    Rtcp,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rtp => "SRTP",
            Self::Rtcp => "SRTCP",
        })
    }
}

/// One direction's keys, as Asterisk says them word by word (DTLS-SRTP does).
pub trait PolicyWords: Default + 'static {
    /// The suite.
    fn set_suite(&mut self, suite: srtp::Suite);
    /// Master key and salt, to be copied. `false`: no suite has such lengths.
    fn set_master_key(&mut self, key: &[u8], salt: &[u8]) -> bool;
    /// The SSRC it is for; `None` is any.
    fn set_ssrc(&mut self, ssrc: Option<u32>);
}

/// An SRTP engine. Functions are called on any thread of Asterisk's, and a panic in one fails that call alone.
pub trait Engine: 'static {
    /// `struct ast_srtp`.
    type Session: Send + Sync + 'static;
    /// `struct ast_srtp_policy`.
    type Policy: PolicyWords;

    /// A session for `rtp` with its first remote keys. `None`: they do not fit; the reason is logged.
    fn create(rtp: RtpInstance<'_>, remote: Option<&Self::Policy>) -> Option<Self::Session>;

    /// Asterisk has the session that `create` made, for the policy `remote`.
    fn attached(session: &Arc<Attached<Self::Session>>, remote: Option<&Self::Policy>);

    /// New remote keys for a session that Asterisk would replace by another one. `false`: they do not fit.
    fn replace(
        session: &Arc<Attached<Self::Session>>,
        rtp: RtpInstance<'_>,
        remote: &Self::Policy,
    ) -> bool;

    /// Asterisk destroys the session.
    fn detached(session: &Attached<Self::Session>);

    /// The keys that this side sends with. `false`: they do not fit.
    fn add_stream(session: &Self::Session, rtp: RtpInstance<'_>, local: &Self::Policy) -> bool;

    /// The SSRC that this side sends with changes.
    fn change_source(session: &Self::Session, from: u32, to: u32);

    /// Authenticates and decrypts `packet` in place; the length that is left. `None`: it is nothing.
    fn unprotect(
        session: &Self::Session,
        rtp: RtpInstance<'_>,
        kind: Kind,
        packet: &mut [u8],
    ) -> Option<usize>;

    /// Encrypts `packet` into `out`; the length there. `None`: it must not be sent.
    fn protect(session: &Self::Session, kind: Kind, packet: &[u8], out: &mut [u8])
    -> Option<usize>;

    /// Fills `octets` with random ones. `false`: there are none.
    fn random(octets: &mut [u8]) -> bool;
}

/// What Asterisk is given. It takes pointers to mutable tables and only reads them.
struct Tables {
    engine: sys::ast_srtp_res,
    policies: sys::ast_srtp_policy_res,
}

impl Tables {
    fn of<E: Engine>() -> Self {
        Self {
            engine: sys::ast_srtp_res {
                create: Some(session::create::<E>),
                replace: Some(session::replace::<E>),
                destroy: Some(session::destroy::<E>),
                add_stream: Some(session::add_stream::<E>),
                change_source: Some(session::change_source::<E>),
                set_cb: Some(session::set_cb),
                unprotect: Some(session::unprotect::<E>),
                protect: Some(session::protect::<E>),
                get_random: Some(session::get_random::<E>),
            },
            policies: sys::ast_srtp_policy_res {
                alloc: Some(policy::alloc::<E::Policy>),
                destroy: Some(policy::destroy::<E::Policy>),
                set_suite: Some(policy::set_suite::<E::Policy>),
                set_master_key: Some(policy::set_master_key::<E::Policy>),
                set_ssrc: Some(policy::set_ssrc::<E::Policy>),
            },
        }
    }
}

/// The tables of the one engine of this library: their addresses are how Asterisk's engine is known as ours, and they stay
/// as long as the library.
static TABLES: OnceLock<Tables> = OnceLock::new();

/// Whose engine Asterisk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Ours.
    Ours,
    /// Another module's.
    Another,
    /// Nobody's: live calls with SRTP would go on in clear.
    Nobody,
}

/// Whose engine Asterisk has now.
pub fn owner() -> Owner {
    // SAFETY: two aligned words of Asterisk's that live as long as the process. Its functions write each as a whole word,
    // without a lock and on any thread, so they are read as atomics.
    let (engine, policies) = unsafe {
        (
            AtomicPtr::from_ptr(&raw mut sys::res_srtp).load(Ordering::Acquire),
            AtomicPtr::from_ptr(&raw mut sys::res_srtp_policy).load(Ordering::Acquire),
        )
    };
    let ours = TABLES.get().is_some_and(|tables| {
        ptr::eq(engine, &raw const tables.engine) && ptr::eq(policies, &raw const tables.policies)
    });
    if ours {
        Owner::Ours
    } else if engine.is_null() && policies.is_null() {
        Owner::Nobody
    } else {
        Owner::Another
    }
}

/// Our engine, while it is registered. Dropping it unregisters it, unless sessions of it live: Asterisk would call a NULL
/// table for them (`instance_destructor` in `rtp_engine.c`), so it stays then, and so must the library. Each session holds
/// a module reference for that.
#[derive(Debug)]
pub struct Registration(());

/// Makes `E` Asterisk's engine. `None`: another one is registered.
///
/// There is one `E` in a library.
pub fn register<E: Engine>() -> Option<Registration> {
    TABLES.get_or_init(Tables::of::<E>);
    register_again().then_some(Registration(()))
}

/// A registration of `E` that [`register_again`] is yet to make.
pub fn claim<E: Engine>() -> Registration {
    TABLES.get_or_init(Tables::of::<E>);
    Registration(())
}

/// Puts our engine back when somebody has taken it away, while its [`Registration`] lives; nothing when it is there.
/// `false`: another one is registered, or ours never was.
pub fn register_again() -> bool {
    if owner() == Owner::Ours {
        return true;
    }
    let Some(tables) = TABLES.get() else {
        return false;
    };
    let engine = (&raw const tables.engine).cast_mut();
    let policies = (&raw const tables.policies).cast_mut();
    // SAFETY: tables that live as long as the library and that Asterisk only reads.
    unsafe { sys::ast_rtp_engine_register_srtp(engine, policies) == 0 }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let attached = attached::count();
        if attached > 0 {
            log::error!("Ciphertrunk stays the SRTP engine: {attached} sessions are up");
        } else if owner() == Owner::Ours {
            // SAFETY: no session lives that Asterisk would call the engine for.
            unsafe { sys::ast_rtp_engine_unregister_srtp() };
        }
    }
}

/// Takes the engine away as another module might, whatever lives.
#[cfg(feature = "test-hooks")]
pub fn lose() {
    // SAFETY: what any module can do; the test build does it to see what happens then.
    unsafe { sys::ast_rtp_engine_unregister_srtp() };
}

/// Adds a stream's keys to its RTP instance. They come back through `create` or `replace`, and `add_stream`. The policies
/// are given back, so that what those functions put into them can be read.
pub fn add_policies<E: Engine>(
    rtp: RtpInstance<'_>,
    remote: E::Policy,
    local: E::Policy,
) -> Option<(E::Policy, E::Policy)> {
    // The engine that Asterisk has would take them for its own.
    if owner() != Owner::Ours {
        return None;
    }
    let (remote, local) = (give(remote), give(local));
    // SAFETY: alive by its type; Asterisk hands both policies to our table during the call and keeps neither.
    let failed = unsafe {
        sys::ast_rtp_instance_add_srtp_policy(rtp.as_ptr(), remote.cast(), local.cast(), 0)
    };
    // SAFETY: given above, and nobody else has them any more.
    let policies = unsafe { (*Box::from_foreign(remote), *Box::from_foreign(local)) };
    (failed == 0).then_some(policies)
}
