//! The actions of the manager interface. What they tell is gathered where the console's commands have it from; names and values of
//! their fields are stable (`docs/ami.md`), as the console's text is not.
//!
//! A list is gathered first and sent then: a client that reads slowly holds nothing up.

#[cfg(feature = "pjsip")]
mod calls;
#[cfg(feature = "pjsip")]
mod connections;
mod keylog;
mod reasons;
mod status;
#[cfg(feature = "pjsip")]
mod transports;

use crate::ffi::manager::{Registered, register};

/// Registers them all. One whose name is taken is left out; Asterisk says so.
pub fn register_all() -> Vec<Registered> {
    [
        register::<keylog::KeylogStart>(),
        register::<keylog::KeylogStop>(),
        register::<status::Status>(),
        register::<reasons::Refusals>(),
        register::<reasons::Reasons>(),
        #[cfg(feature = "pjsip")]
        register::<calls::Calls>(),
        #[cfg(feature = "pjsip")]
        register::<connections::Connections>(),
        #[cfg(feature = "pjsip")]
        register::<connections::ConnectionClose>(),
        #[cfg(feature = "pjsip")]
        register::<transports::Transports>(),
        #[cfg(feature = "pjsip")]
        register::<transports::Certificates>(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A truth, as a field has it.
fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}
