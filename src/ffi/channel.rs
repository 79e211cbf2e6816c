//! Channels, as far as their snapshots tell.

use super::ao2::Ao2;
use super::{c_text, sys, text};

/// The name of the channel with this unique id; `None` if there is none. Any lock of a channel's may be held: snapshots lie in a
/// container of their own, whose lock is held for nothing else.
pub fn name_of(unique_id: &str) -> Option<String> {
    if unique_id.is_empty() {
        return None;
    }
    let id = c_text(unique_id);
    // SAFETY: the id lives during the call, which gives NULL, or an object with a reference for us.
    let snapshot =
        unsafe { Ao2::from_raw(sys::ast_channel_snapshot_get_latest(id.as_ptr()).cast())? };
    let snapshot = snapshot.as_ptr().cast::<sys::ast_channel_snapshot>();
    // SAFETY: a snapshot, which nobody changes once it is made, and which the reference above keeps until the copy is made; so
    // it does the part that has the name.
    unsafe {
        #[cfg(channel_snapshot_has_base)]
        let name = (*(*snapshot).base).name;
        #[cfg(not(channel_snapshot_has_base))]
        let name = (*snapshot).name;
        text(name)
    }
}
