//! [`session`](super::session) of a build without PJSIP: no stream's call is known.

pub use super::call::{Call, Exchange};
use super::rtp::RtpInstance;
use super::sys;
use crate::media::refusal::Refusal;

/// Sessions that hold a copy of a supplement: there is none.
pub fn count() -> usize {
    0
}

/// Nobody knows.
pub fn call_of(_rtp: RtpInstance) -> Option<Call> {
    None
}

/// Likewise.
pub(super) fn call_of_list(_list: *const sys::ast_sdp_srtp) -> Option<Call> {
    None
}

/// There is no call to keep it with.
pub fn keep_refusal(_rtp: RtpInstance, _refusal: Refusal) {}

/// None.
pub fn refusals() -> Vec<(Call, Refusal)> {
    Vec::new()
}

/// `false`: there is no such call.
pub fn offer_again(_channel_id: &str) -> bool {
    false
}

/// None is ever registered.
#[derive(Debug)]
pub struct Supplement(());

/// Not called: there is no [`Pjsip`](super::late::Pjsip).
pub fn register() -> Supplement {
    Supplement(())
}
