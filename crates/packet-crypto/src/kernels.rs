//! The choice of a CPU level.

use std::sync::OnceLock;

use crate::backend::{SOFT, levels};
use crate::error::SelfTestError;
use crate::self_test;
use crate::table::Kernels;

impl Kernels {
    /// The level's name, for operators: the instruction sets it uses.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The levels that this CPU can run, best first. The portable one is always there and always the last of ours; behind it is
    /// OpenSSL's, with the feature `system`.
    pub fn usable() -> impl Iterator<Item = &'static Kernels> {
        levels().filter(|level| (level.detect)())
    }

    /// The level of this name, or `None` when there is none or this CPU cannot run it.
    pub fn by_name(name: &str) -> Option<&'static Kernels> {
        Self::usable().find(|level| level.name == name)
    }

    /// From how many packets under AES-CM on a batch is hashed in lanes; no batch is where the level has none, and then it is
    /// quicker to seal and open one after the other.
    #[cfg(feature = "batch")]
    pub fn least_in_lanes(&self) -> Option<usize> {
        let [cm, ..] = &self.cm;
        cm.lanes.map(|lanes| lanes.least)
    }

    /// Checks the level against published test vectors and, on longer packets, against the portable level.
    pub fn self_test(&'static self) -> Result<(), SelfTestError> {
        self_test::run(self)
    }
}

/// The best level of this CPU that passes its self-test, chosen at the first call.
///
/// If even the portable level fails, it is what you get: a host that asks `kernels().self_test()` once at load learns
/// it there and should decline to run. [`Kernels::usable`] with [`Kernels::self_test`] tells which levels were passed
/// over.
pub fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        Kernels::usable()
            .find(|level| level.self_test().is_ok())
            .unwrap_or(&SOFT)
    })
}
