//! The CPU levels. Everything that is an intrinsic is below here, and nothing here knows a protocol.

pub(crate) mod soft;

use crate::kernels::Kernels;

/// Every level that this build has, best first, the portable one last.
pub(crate) static LEVELS: &[&Kernels] = &[&soft::SOFT];
