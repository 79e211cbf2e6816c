//! res_pjsip and pjproject, which are there or not: `include/late.c` finds their functions when the module is loaded.

use std::fmt;

#[cfg(feature = "pjsip")]
use super::{sys, text};

/// That every function of PJSIP's that the module calls was found. Whoever calls one has it from somebody who has this.
#[derive(Debug, Clone, Copy)]
pub struct Pjsip(());

/// Why PJSIP cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Absent {
    /// The module was built without its half for PJSIP.
    NotBuiltIn,
    /// res_pjsip or res_pjsip_session is not loaded.
    NotLoaded(&'static str),
    /// They are, and lack this function: they are not those that the module was built for.
    Lacks(String),
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuiltIn => f.write_str("it was built without PJSIP"),
            Self::NotLoaded(module) => write!(f, "{module} is not loaded"),
            Self::Lacks(function) => write!(
                f,
                "this Asterisk's PJSIP has no function {function}, which it was built with: build it for this Asterisk"
            ),
        }
    }
}

/// Finds them. At load, before anything of the module runs that could call one.
pub fn find() -> Result<Pjsip, Absent> {
    #[cfg(not(feature = "pjsip"))]
    return Err(Absent::NotBuiltIn);
    #[cfg(feature = "pjsip")]
    found()
}

#[cfg(feature = "pjsip")]
fn found() -> Result<Pjsip, Absent> {
    for module in [c"res_pjsip.so", c"res_pjsip_session.so"] {
        // SAFETY: reads the list of modules; the name is a constant.
        if unsafe { sys::ast_module_check(module.as_ptr()) } == 0 {
            return Err(Absent::NotLoaded(module.to_str().unwrap_or_default()));
        }
    }
    // SAFETY: at load, on the thread that loads; the name that may come back is a constant.
    match unsafe { text(sys::ct_late_find()) } {
        None => Ok(Pjsip(())),
        Some(function) => Err(Absent::Lacks(function)),
    }
}
