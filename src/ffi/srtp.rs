//! `ast_srtp_res` and `ast_srtp_policy_res`: the tables by which Asterisk uses an SRTP engine, over an [`Engine`], which
//! knows no C.
//!
//! `struct ast_srtp *` is an `Arc<Attached<E::Session>>` that Asterisk owns one count of; `struct ast_srtp_policy *` is a
//! boxed `E::Policy` that it owns. Nothing else of these types comes in through the tables: Asterisk hands back what
//! `create` and `policy_alloc` gave.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_uchar, c_uint, c_ulong, c_void};
use std::fmt;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::guard::guard;
use super::owned::{ForeignOwnable, borrow_mut, dispose, give, share};
use super::rtp::RtpInstance;
use super::sys;

const FAILED: c_int = -1;

/// Longest packet that can be sent: stock's limit (`res_srtp.c`: 8192 octets and room for what is added).
pub const MAX_PACKET: usize = 8192 + 64 + srtp::MAX_TRAILER;

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

/// Sessions that Asterisk holds.
static ATTACHED: AtomicUsize = AtomicUsize::new(0);

/// A session as Asterisk holds it: with the instance it belongs to, which is reached only while Asterisk calls for it.
///
/// # Invariants
///
/// `rtp` lives as long as Asterisk has the session: an instance destroys its session before itself
/// (`instance_destructor` in `rtp_engine.c`).
#[repr(C)]
pub struct Attached<S> {
    // First, so that a packet finds it where the pointer points.
    session: S,
    rtp: NonNull<sys::ast_rtp_instance>,
}

// SAFETY: `rtp` is only read as an address, and dereferenced only in calls from Asterisk for this very session.
unsafe impl<S: Send> Send for Attached<S> {}
// SAFETY: see `Send`.
unsafe impl<S: Sync> Sync for Attached<S> {}

impl<S> Deref for Attached<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.session
    }
}

impl<S> fmt::Debug for Attached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attached({:?})", self.rtp)
    }
}

impl<S> Attached<S> {
    /// # Safety
    ///
    /// Asterisk has the session during `'a`: the caller is a call of its for this session.
    unsafe fn rtp<'a>(&self) -> Option<RtpInstance<'a>> {
        // SAFETY: alive while Asterisk has the session, by the type's invariant and the caller.
        unsafe { RtpInstance::from_raw(self.rtp.as_ptr()) }
    }
}

thread_local! {
    /// Where `protect` puts a packet: it may not change the caller's buffer, and the caller sends the result before it
    /// asks again. Per thread and not per session, because with ICE Asterisk lets go of the instance's lock before it
    /// sends. It has no destructor, so it does not pin the library (docs/safety.md).
    static OUT: UnsafeCell<[u8; MAX_PACKET]> = const { UnsafeCell::new([0; MAX_PACKET]) };
}

fn status(done: bool) -> c_int {
    if done { 0 } else { FAILED }
}

/// # Safety
///
/// `session` is what `create::<E>` gave and `destroy::<E>` has not taken back, during `'a`.
unsafe fn attached<'a, E: Engine>(session: *mut sys::ast_srtp) -> &'a Attached<E::Session> {
    // SAFETY: points to the value inside the Arc of which Asterisk has a count, by the caller.
    unsafe { &*session.cast::<Attached<E::Session>>().cast_const() }
}

extern "C" fn create<E: Engine>(
    out: *mut *mut sys::ast_srtp,
    rtp: *mut sys::ast_rtp_instance,
    remote: *mut sys::ast_srtp_policy,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: the instance that will own the session; the caller's reference keeps it during the call.
        let Some(instance) = (unsafe { RtpInstance::from_raw(rtp) }) else {
            return FAILED;
        };
        // SAFETY: NULL or from `policy_alloc`; the caller destroys it after the call and changes it on this thread alone.
        let remote = unsafe { Box::<E::Policy>::borrow(remote.cast()) };
        let (Some(session), Some(rtp)) = (E::create(instance, remote), NonNull::new(rtp)) else {
            return FAILED;
        };
        let session = Arc::new(Attached { session, rtp });
        E::attached(&session, remote);
        ATTACHED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: where Asterisk wants the session: its own variable.
        unsafe { *out = session.into_foreign().cast() };
        0
    })
}

/// The session stays and takes the new remote keys: its contexts carry over by RFC 3711's rules, where stock begins anew
/// with ROC 0.
extern "C" fn replace<E: Engine>(
    srtp: *mut *mut sys::ast_srtp,
    rtp: *mut sys::ast_rtp_instance,
    remote: *mut sys::ast_srtp_policy,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: `*srtp` is from `create`, and the instance has it during the call; the policy is NULL or from
        // `policy_alloc`, and not changed meanwhile; the caller's reference keeps the instance.
        let (session, remote, rtp) = unsafe {
            (
                share((*srtp).cast::<Attached<E::Session>>()),
                Box::<E::Policy>::borrow(remote.cast()),
                RtpInstance::from_raw(rtp),
            )
        };
        let (Some(remote), Some(rtp)) = (remote, rtp) else {
            return FAILED;
        };
        status(E::replace(&session, rtp, remote))
    })
}

extern "C" fn destroy<E: Engine>(srtp: *mut sys::ast_srtp) {
    guard((), || {
        if srtp.is_null() {
            return;
        }
        // SAFETY: the count that `create` gave to Asterisk, which gives it back once: the instance is being destroyed.
        let session = unsafe { Arc::from_foreign(srtp.cast::<Attached<E::Session>>()) };
        ATTACHED.fetch_sub(1, Ordering::Relaxed);
        E::detached(&session);
    });
}

extern "C" fn add_stream<E: Engine>(
    srtp: *mut sys::ast_srtp,
    local: *mut sys::ast_srtp_policy,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: from `create`, and Asterisk has it during the call, so its instance lives too; the policy is NULL or from
        // `policy_alloc`, and not changed meanwhile.
        let (session, local) =
            unsafe { (attached::<E>(srtp), Box::<E::Policy>::borrow(local.cast())) };
        // SAFETY: this is a call of Asterisk's for the session.
        let rtp = unsafe { session.rtp() };
        let (Some(local), Some(rtp)) = (local, rtp) else {
            return FAILED;
        };
        status(E::add_stream(session, rtp, local))
    })
}

extern "C" fn change_source<E: Engine>(
    srtp: *mut sys::ast_srtp,
    from: c_uint,
    to: c_uint,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: from `create`, and Asterisk has it during the call.
        E::change_source(unsafe { attached::<E>(srtp) }, from, to);
        0
    })
}

/// Stock's callback asks for a context of an unknown SSRC and nobody in Asterisk sets it: our contexts come with the
/// first packet that authenticates.
extern "C" fn set_cb(_srtp: *mut sys::ast_srtp, _cb: *const sys::ast_srtp_cb, _data: *mut c_void) {}

/// `flags`: bit 0 says RTCP. Bit 1 is `srtpreplayprotection`, by which stock may start anew with ROC 0; a session of
/// ours never does.
extern "C" fn unprotect<E: Engine>(
    srtp: *mut sys::ast_srtp,
    buf: *mut c_void,
    len: *mut c_int,
    flags: c_int,
) -> c_int {
    let received = guard(None, || {
        // SAFETY: a packet of `*len` octets in a buffer of Asterisk's that nobody else uses during the call; the session is
        // from `create`, and Asterisk has it during the call.
        let (session, packet) = unsafe {
            let length = usize::try_from(*len).ok()?;
            (
                attached::<E>(srtp),
                slice::from_raw_parts_mut(buf.cast::<u8>(), length),
            )
        };
        // SAFETY: this is a call of Asterisk's for the session.
        let rtp = unsafe { session.rtp() }?;
        let kind = if flags & 1 == 0 {
            Kind::Rtp
        } else {
            Kind::Rtcp
        };
        c_int::try_from(E::unprotect(session, rtp, kind, packet)?).ok()
    });
    let Some(length) = received else {
        // Asterisk 22 takes every failure for a packet that is nothing and looks at no errno; 16 and 18 tell EAGAIN apart
        // from a broken stream (`__rtp_recvfrom` in res_rtp_asterisk.c).
        // SAFETY: this thread's errno.
        unsafe { *libc::__errno_location() = libc::EAGAIN };
        return FAILED;
    };
    // SAFETY: Asterisk's variable.
    unsafe { *len = length };
    length
}

extern "C" fn protect<E: Engine>(
    srtp: *mut sys::ast_srtp,
    buf: *mut *mut c_void,
    len: *mut c_int,
    rtcp: c_int,
) -> c_int {
    let sent = guard(None, || {
        // SAFETY: a packet of `*len` octets that stays as it is during the call; the session is from `create`, and Asterisk
        // has it during the call.
        let (session, packet) = unsafe {
            let length = usize::try_from(*len).ok()?;
            (
                attached::<E>(srtp),
                slice::from_raw_parts((*buf).cast::<u8>().cast_const(), length),
            )
        };
        let kind = if rtcp == 0 { Kind::Rtp } else { Kind::Rtcp };
        OUT.try_with(|out| {
            // SAFETY: this thread's alone, and no other borrow of it lives: `protect` is not entered again from inside.
            // `packet` is not in it: Asterisk never hands back what it was given here.
            let out_slice = unsafe { &mut *out.get() };
            let length = E::protect(session, kind, packet, out_slice)?;
            Some((out.get().cast::<c_void>(), c_int::try_from(length).ok()?))
        })
        .ok()?
    });
    let Some((out, length)) = sent else {
        // SAFETY: this thread's errno.
        unsafe { *libc::__errno_location() = libc::EINVAL };
        return FAILED;
    };
    // SAFETY: Asterisk's variables; the buffer holds the packet until this thread's next call.
    unsafe {
        *buf = out;
        *len = length;
    }
    length
}

extern "C" fn get_random<E: Engine>(key: *mut c_uchar, len: usize) -> c_int {
    guard(FAILED, || {
        // SAFETY: `len` octets of Asterisk's to be written, which nobody else uses during the call.
        status(E::random(unsafe { slice::from_raw_parts_mut(key, len) }))
    })
}

extern "C" fn policy_alloc<P: PolicyWords>() -> *mut sys::ast_srtp_policy {
    guard(ptr::null_mut(), || give(P::default()).cast())
}

extern "C" fn policy_destroy<P: PolicyWords>(policy: *mut sys::ast_srtp_policy) {
    guard((), || {
        // SAFETY: NULL or from `policy_alloc`, given back once.
        unsafe { dispose(policy.cast::<P>()) };
    });
}

extern "C" fn policy_set_suite<P: PolicyWords>(
    policy: *mut sys::ast_srtp_policy,
    suite: sys::ast_srtp_suite,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: NULL or from `policy_alloc`; one thread builds a policy, and no reference outlives a call.
        let policy = unsafe { borrow_mut(policy.cast::<P>()) };
        status(suite_of(suite).zip(policy).is_some_and(|(suite, policy)| {
            policy.set_suite(suite);
            true
        }))
    })
}

extern "C" fn policy_set_master_key<P: PolicyWords>(
    policy: *mut sys::ast_srtp_policy,
    key: *const c_uchar,
    key_len: usize,
    salt: *const c_uchar,
    salt_len: usize,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: NULL or from `policy_alloc`; one thread builds a policy, and no reference outlives a call. Key and salt
        // have the lengths given and stay during the call.
        let (policy, key, salt) = unsafe {
            (
                borrow_mut(policy.cast::<P>()),
                slice::from_raw_parts(key, key_len),
                slice::from_raw_parts(salt, salt_len),
            )
        };
        status(policy.is_some_and(|policy| policy.set_master_key(key, salt)))
    })
}

extern "C" fn policy_set_ssrc<P: PolicyWords>(
    policy: *mut sys::ast_srtp_policy,
    ssrc: c_ulong,
    _inbound: c_int,
) {
    guard((), || {
        // SAFETY: NULL or from `policy_alloc`; one thread builds a policy, and no reference outlives a call.
        if let Some(policy) = unsafe { borrow_mut(policy.cast::<P>()) } {
            // An SSRC has 32 bits; 0 is "any".
            policy.set_ssrc(u32::try_from(ssrc).ok().filter(|ssrc| *ssrc != 0));
        }
    });
}

/// Asterisk's number of a suite.
fn suite_of(suite: sys::ast_srtp_suite) -> Option<srtp::Suite> {
    use srtp::Suite;
    Some(match suite {
        sys::AST_AES_CM_128_HMAC_SHA1_80 => Suite::AesCm128HmacSha1_80,
        sys::AST_AES_CM_128_HMAC_SHA1_32 => Suite::AesCm128HmacSha1_32,
        sys::AST_AES_CM_192_HMAC_SHA1_80 => Suite::AesCm192HmacSha1_80,
        sys::AST_AES_CM_192_HMAC_SHA1_32 => Suite::AesCm192HmacSha1_32,
        sys::AST_AES_CM_256_HMAC_SHA1_80 => Suite::AesCm256HmacSha1_80,
        sys::AST_AES_CM_256_HMAC_SHA1_32 => Suite::AesCm256HmacSha1_32,
        sys::AST_AES_GCM_128 => Suite::AeadAes128Gcm,
        sys::AST_AES_GCM_256 => Suite::AeadAes256Gcm,
        sys::AST_AES_GCM_128_8 => Suite::AeadAes128Gcm8,
        sys::AST_AES_GCM_256_8 => Suite::AeadAes256Gcm8,
        _ => return None,
    })
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
                create: Some(create::<E>),
                replace: Some(replace::<E>),
                destroy: Some(destroy::<E>),
                add_stream: Some(add_stream::<E>),
                change_source: Some(change_source::<E>),
                set_cb: Some(set_cb),
                unprotect: Some(unprotect::<E>),
                protect: Some(protect::<E>),
                get_random: Some(get_random::<E>),
            },
            policies: sys::ast_srtp_policy_res {
                alloc: Some(policy_alloc::<E::Policy>),
                destroy: Some(policy_destroy::<E::Policy>),
                set_suite: Some(policy_set_suite::<E::Policy>),
                set_master_key: Some(policy_set_master_key::<E::Policy>),
                set_ssrc: Some(policy_set_ssrc::<E::Policy>),
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
        let attached = ATTACHED.load(Ordering::Relaxed);
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

/// Whether `session` is the one that Asterisk has for `rtp`. Addresses are compared, so a session of another engine is
/// never looked into.
pub fn is_session_of<S>(session: &Arc<Attached<S>>, rtp: RtpInstance<'_>) -> bool {
    // SAFETY: alive by its type; the function reads one word that changes in this call's own serializer alone.
    let of_rtp = unsafe { sys::ast_rtp_instance_get_srtp(rtp.as_ptr(), 0) };
    ptr::eq(of_rtp.cast_const().cast(), Arc::as_ptr(session))
}
