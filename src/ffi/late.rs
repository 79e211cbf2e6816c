//! res_pjsip and pjproject, which are there or not: `include/late.c` finds their functions when the module is loaded.

use std::fmt;
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

/// Looks for them. At load, before anything of the module runs that could call one.
///
/// # Errors
///
/// [`Absent`]: nothing of PJSIP may be called until the next load.
pub fn find() -> Result<Pjsip, Absent> {
    let result = look();
    FOUND.store(result.is_ok(), Ordering::Release);
    result
}

/// What [`find`] has found last.
pub fn found() -> Option<Pjsip> {
    FOUND.load(Ordering::Acquire).then_some(Pjsip(()))
}

#[cfg(not(feature = "pjsip"))]
fn look() -> Result<Pjsip, Absent> {
    Err(Absent::Without(
        "the module was built without PJSIP".to_owned(),
    ))
}

#[cfg(feature = "pjsip")]
fn look() -> Result<Pjsip, Absent> {
    for module in ["res_pjsip.so", "res_pjsip_session.so"] {
        if !host::is_module_running(module) {
            return Err(Absent::Without(format!("{module} is not running")));
        }
    }
    // SAFETY: at load, on the thread that loads; the name that may come back is a constant.
    match unsafe { text(sys::ct_late_find()) } {
        None => Ok(Pjsip(())),
        Some(function) => Err(Absent::Lacks(function)),
    }
}
