//! Whether the Asterisk that loads us is one that we were built for.
//!
//! Another branch, another pjproject or another size of its buffers is refused, because structures differ; a build with
//! other options is refused by Asterisk's loader (`AST_BUILDOPT_SUM`). So is an earlier minor release of the branch: it lacks
//! functions that a later one's headers call. A later one, another patch and another package load: structures only grow at
//! their ends within a branch, and a distribution's security rebuild must not switch encrypted calling off.

use std::fmt;

use crate::ffi::host;
#[cfg(feature = "pjsip")]
use crate::ffi::late::Pjsip;
#[cfg(feature = "pjsip")]
use crate::ffi::pjsip::pjproject;

/// Why it is not.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Another branch of Asterisk.
    Asterisk { built: String, running: String },
    /// An earlier minor release of the branch.
    Earlier { built: String, running: String },
    /// Another pjproject.
    Pjproject { built: String, running: String },
    /// pjproject's buffers have another size.
    MaxPacket { built: u32, running: u32 },
    /// pjproject could not be asked.
    NoProbe,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asterisk { built, running } => {
                write!(
                    f,
                    "it was built for Asterisk {built}, and this is {running}: build it for this one (make module ASTERISK_SRC=)"
                )
            }
            Self::Earlier { built, running } => {
                write!(
                    f,
                    "it was built for Asterisk {built}, and this is the earlier {running}: build it for this one \
                     (make module ASTERISK_SRC=), or update Asterisk to that release or a later one of its branch"
                )
            }
            Self::Pjproject { built, running } => {
                write!(
                    f,
                    "it was built for pjproject {built}, and this Asterisk has {running}: build it for this one (make module \
                     ASTERISK_SRC=)"
                )
            }
            Self::MaxPacket { built, running } => write!(
                f,
                "it was built for a PJSIP_MAX_PKT_LEN of {built}, and this Asterisk's pjproject has {running}: build it with \
                 this Asterisk's config_site.h"
            ),
            Self::NoProbe => f.write_str("pjproject could not be probed; is res_pjsip running?"),
        }
    }
}

/// The first `parts` numbers of a version: `22.10.1+dfsg` has the branch `22` and the patch `22.10`.
fn numbers(version: &str, parts: usize) -> Vec<&str> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .take(parts)
        .collect()
}

/// The minor number of a release; `None` of what is no release (`GIT-22-0123abc`).
fn minor(version: &str) -> Option<u32> {
    let release = version.trim_start_matches("certified/");
    let mut parts = release.split('.');
    parts.next()?.parse::<u32>().ok()?;
    let minor = parts.next()?;
    let end = minor
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(minor.len());
    minor[..end].parse().ok()
}

/// Checks Asterisk itself. `Ok` may carry a notice for the log.
///
/// # Errors
///
/// [`Unfit`]: the module must not be used in this Asterisk.
pub fn asterisk() -> Result<Option<String>, Unfit> {
    let (built, running) = (host::BUILT_ASTERISK.to_owned(), host::asterisk_version());
    if numbers(&built, 1) != numbers(&running, 1) {
        return Err(Unfit::Asterisk { built, running });
    }
    if let (Some(had), Some(has)) = (minor(&built), minor(&running))
        && has < had
    {
        return Err(Unfit::Earlier { built, running });
    }
    Ok((built != running).then(|| {
        format!("built for Asterisk {built}, running in {running}: the same branch, so it loads")
    }))
}

/// Checks its pjproject.
///
/// # Errors
///
/// [`Unfit`], likewise.
#[cfg(feature = "pjsip")]
pub fn pjproject(pjsip: Pjsip) -> Result<(), Unfit> {
    let (built, running) = (pjproject::built_branch(), pjproject::version(pjsip));
    if numbers(&built, 2) != numbers(&running, 2) {
        return Err(Unfit::Pjproject { built, running });
    }
    match pjproject::max_packet(pjsip) {
        (_, None) => Err(Unfit::NoProbe),
        (built, Some(running)) if built != running => Err(Unfit::MaxPacket { built, running }),
        _ => Ok(()),
    }
}
