//! Requests outside of calls (OPTIONS, REGISTER, MESSAGE) whose name has no address: pjsip ends their transaction before there is a
//! message to look at, and tells the module that began it, `mod-stateful-util`, whose function is exchanged for one of ours that calls
//! it. Of an INVITE its session tells.

use super::gate::Registration;
use super::strings;
use crate::ffi::exchange::{Exchange, Original};
use crate::ffi::guard::guard;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::sys;

/// Who is told. Called in any thread of PJSIP's, with locks of pjsip's: nothing of Asterisk's is asked.
pub trait Unresolved: 'static {
    /// A request of this method was not sent: pjsip's resolver found no address for `name`.
    fn unsent(method: &str, name: &str);
}

type OnState = unsafe extern "C" fn(*mut sys::pjsip_transaction, *mut sys::pjsip_event);

/// pjsip's own.
static ORIGINAL: Original = Original::new();

/// Whether a status is the resolver's.
fn is_of_resolver(status: sys::pj_status_t) -> bool {
    let resolver =
        sys::CT_PJLIB_UTIL_EDNS_FIRST.cast_signed()..=sys::CT_PJLIB_UTIL_EDNS_LAST.cast_signed();
    status == sys::CT_PJ_ERESOLVE.cast_signed() || resolver.contains(&status)
}

unsafe extern "C" fn on_state<U: Unresolved>(
    transaction: *mut sys::pjsip_transaction,
    event: *mut sys::pjsip_event,
) {
    // Nobody unloads the module while this runs, not an unload either that has put the other function back meanwhile.
    let _module = ModuleRef::take();
    guard((), || {
        // SAFETY: pjsip hands a transaction of its own, which lives during the call and changes under the lock that is held or in this
        // thread; the request that it keeps has been sent to the resolver, with the name in its pool.
        unsafe {
            let request = (*transaction).last_tx;
            if (*transaction).state != sys::PJSIP_TSX_STATE_TERMINATED
                || (*transaction).role != sys::PJSIP_ROLE_UAC
                || !is_of_resolver((*transaction).transport_err)
                || request.is_null()
            {
                return;
            }
            U::unsent(
                &strings::to_text((*transaction).method.name),
                &strings::to_text((*request).dest_info.name),
            );
        }
    });
    let original = ORIGINAL.get();
    if !original.is_null() {
        // SAFETY: pjsip's function of this type, with the arguments that were for it.
        unsafe { std::mem::transmute::<*mut (), OnState>(original)(transaction, event) }
    }
}

/// Once at a time, and given up before the gate. `None`: pjsip has no such module.
pub fn hook<U: Unresolved>(gate: &Registration) -> Option<Exchange> {
    let module = gate.find("mod-stateful-util");
    if module.is_null() {
        return None;
    }
    // SAFETY: a static variable of pjproject's library, which stays as long as res_pjsip does, and that as long as the gate is
    // registered. The function is of the type of `on_tsx_state`, and calls the other as one.
    unsafe {
        Exchange::at(
            (&raw mut (*module).on_tsx_state).cast(),
            on_state::<U> as *const () as *mut (),
            &ORIGINAL,
            "pjsip's function for transactions outside of calls",
        )
    }
}
