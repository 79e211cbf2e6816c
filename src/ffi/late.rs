//! res_pjsip and pjproject, which are there or not: `include/late.c` finds their functions when the module is loaded.

use std::fmt;
#[cfg(feature = "pjsip")]
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "pjsip")]
use super::{host, sys, text};

/// That every function of PJSIP's that the module calls was found.
#[derive(Debug, Clone, Copy)]
pub struct Pjsip(());

/// Why PJSIP cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Absent {
    /// The module was built without its half for PJSIP; or res_pjsip or res_pjsip_session is not loaded, or did not start.
    Without(String),
    /// They are, and lack this function: they are not those that the module was built for.
    Lacks(String),
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Without(reason) => f.write_str(reason),
            Self::Lacks(function) => write!(
                f,
                "this Asterisk's PJSIP has no function {function}, which it was built with: build it for this one (make module ASTERISK_SRC=)"
            ),
        }
    }
}

static FOUND: AtomicBool = AtomicBool::new(false);

/// PJSIP, found and kept: while it lives, Asterisk unloads neither chan_pjsip nor what that requires, res_pjsip and
/// res_pjsip_session among them. Dropped after everything that may call PJSIP.
#[derive(Debug)]
pub struct Kept {
    /// chan_pjsip, of which one use is ours.
    #[cfg(feature = "pjsip")]
    chan_pjsip: NonNull<sys::ast_module>,
}

impl Kept {
    /// What [`found`] tells while this lives.
    #[cfg(feature = "pjsip")]
    pub fn pjsip(&self) -> Pjsip {
        Pjsip(())
    }
}

#[cfg(feature = "pjsip")]
// SAFETY: a module of Asterisk's, whose count is atomic and may be given back on any thread.
unsafe impl Send for Kept {}

impl Drop for Kept {
    fn drop(&mut self) {
        FOUND.store(false, Ordering::Release);
        #[cfg(feature = "pjsip")]
        // SAFETY: the one use that `look` took, so the module is still there.
        unsafe {
            sys::ct_module_of_unref(self.chan_pjsip.as_ptr());
        }
    }
}

/// Looks for them. At load, before anything of the module runs that could call one.
///
/// They are no `optional_modules` of ours: Asterisk's loader declines a module with an optional one that is there and did
/// not start, and calls of chan_sip need an SRTP engine all the same.
///
/// # Errors
///
/// [`Absent`]: nothing of PJSIP may be called until the next load.
pub fn find() -> Result<Kept, Absent> {
    let kept = look()?;
    FOUND.store(true, Ordering::Release);
    Ok(kept)
}

/// Whether PJSIP is found and [kept](Kept).
pub fn found() -> Option<Pjsip> {
    FOUND.load(Ordering::Acquire).then_some(Pjsip(()))
}

#[cfg(not(feature = "pjsip"))]
fn look() -> Result<Kept, Absent> {
    Err(Absent::Without(
        "the module was built without PJSIP".to_owned(),
    ))
}

#[cfg(feature = "pjsip")]
fn look() -> Result<Kept, Absent> {
    for module in ["res_pjsip.so", "res_pjsip_session.so", "chan_pjsip.so"] {
        if !host::is_module_running(module) {
            return Err(Absent::Without(format!("{module} is not running")));
        }
    }
    // chan_pjsip is known by a function of the dialplan that it has in every branch: Asterisk gives out no module by its name.
    // SAFETY: at load, with the list of modules locked, so the module of a function in the list is there; the name is read only.
    let chan_pjsip = unsafe { sys::ct_module_of_function(c"PJSIP_DIAL_CONTACTS".as_ptr()) };
    let Some(chan_pjsip) = NonNull::new(chan_pjsip) else {
        return Err(Absent::Without(
            "chan_pjsip.so has no function PJSIP_DIAL_CONTACTS".to_owned(),
        ));
    };
    let kept = Kept { chan_pjsip };
    // SAFETY: at load, on the thread that loads; the name that may come back is a constant.
    match unsafe { text(sys::ct_late_find()) } {
        None => Ok(kept),
        Some(function) => Err(Absent::Lacks(function)),
    }
}
