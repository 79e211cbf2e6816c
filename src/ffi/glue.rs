//! What a channel technology answers to Asterisk's native RTP bridge (`ast_rtp_glue`): whether the RTP of a channel may pass from one
//! instance to the other without the core. chan_pjsip forbids it as soon as `media_encryption` is set; from 16 to 23 that is its one reason once
//! it has given the instance, for the others (no session, no audio, T.38) come before it. A chan_pjsip that was changed to have another one
//! there cannot be told from these: who has keys has `media_encryption` set as well.
//!
//! Its function in the glue is [exchanged](Exchange) for one of ours, which calls it. No second glue stands beside it: a bridge keeps the
//! address of the glue that it found, longer than we may be there.

use std::ffi::CStr;
use std::ptr;

use super::channel::Channel;
use super::exchange::{Exchange, Original};
use super::guard::guard;
use super::late::Pjsip;
use super::module_ref::ModuleRef;
use super::rtp::RtpInstance;
use super::sys;

/// Who knows better than the technology.
pub trait Bridging: 'static {
    /// Whether the audio of a channel, which is locked, may pass by a native bridge in this process though its technology forbids it. `rtp`
    /// carries it.
    fn may_be_native(channel: Channel<'_>, rtp: RtpInstance<'_>) -> bool;
}

type GetRtpInfo = unsafe extern "C" fn(
    *mut sys::ast_channel,
    *mut *mut sys::ast_rtp_instance,
) -> sys::ast_rtp_glue_result;

/// chan_pjsip's own.
static ORIGINAL: Original = Original::new();

unsafe extern "C" fn get_rtp_info<B: Bridging>(
    channel: *mut sys::ast_channel,
    instance: *mut *mut sys::ast_rtp_instance,
) -> sys::ast_rtp_glue_result {
    // Nobody unloads the module while this runs, not an unload either that has put the other function back meanwhile.
    let _module = ModuleRef::take();
    let original = ORIGINAL.get();
    if original.is_null() {
        return sys::AST_RTP_GLUE_RESULT_FORBID;
    }
    let mut found = ptr::null_mut();
    // SAFETY: chan_pjsip's function in the field of this type; the module is a use of chan_pjsip.
    let original = unsafe { std::mem::transmute::<*mut (), GetRtpInfo>(original) };
    // SAFETY: with a channel of its own, as the caller has it.
    let answer = unsafe { original(channel, &raw mut found) };
    if found.is_null() {
        return answer;
    }
    // SAFETY: the caller's word for the instance, of which it gets the reference that was just taken.
    unsafe { *instance = found };
    if answer != sys::AST_RTP_GLUE_RESULT_FORBID {
        return answer;
    }
    let may_be = guard(false, || {
        // SAFETY: the channel lives during the call and is locked, as whoever asks a glue has it; the reference above keeps the instance.
        let (channel, rtp) = unsafe { (Channel::from_raw(channel), RtpInstance::from_raw(found)) };
        channel
            .zip(rtp)
            .is_some_and(|(channel, rtp)| B::may_be_native(channel, rtp))
    });
    if may_be {
        // Never from phone to phone: each leg has keys of its own.
        sys::AST_RTP_GLUE_RESULT_LOCAL
    } else {
        answer
    }
}

/// Once at a time. `None`: PJSIP's channels have no glue.
pub fn bridge<B: Bridging>(_: Pjsip) -> Option<Exchange> {
    const PJSIP: &CStr = c"PJSIP";
    // SAFETY: chan_pjsip is in use as long as `Pjsip` is found, and its glue is registered as long as it is loaded. Registering wrote
    // module and list into the structure, so it may be written. The function is of the type of its field, and calls the other as one.
    unsafe {
        let glue = sys::ast_rtp_instance_get_glue(PJSIP.as_ptr());
        if glue.is_null() {
            return None;
        }
        Exchange::at(
            (&raw mut (*glue).get_rtp_info).cast(),
            get_rtp_info::<B> as *const () as *mut (),
            &ORIGINAL,
            "chan_pjsip's glue for RTP",
        )
    }
}
