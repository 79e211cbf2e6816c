//! The SSRCs under a key: whose they are, how many there may be, and what is known of those that have not sent for long.

use std::collections::BTreeMap;

use crate::error::ProtectError;
use crate::replay::Window;

/// Most SSRCs of the host's own under one local key. Asterisk takes another one whenever a channel joins or leaves a bridge.
pub const MAX_LOCAL_SOURCES: usize = 4096;

/// Most SSRCs under one local key that pass through from another leg of the call (a native bridge). Whoever sends them may change them as
/// often as it likes, and the host's own have their places all the same.
pub const MAX_PASSING_SOURCES: usize = 1024;

/// Of so many SSRCs under a key all is known that there is to know; of the others that began before, the highest index, which is 40
/// octets and not 350, or 4,500.
pub(super) const WHOLE: usize = 64;

/// How many of the host's own SSRCs are told from those that pass through, before they send.
const LATEST: usize = 8;

/// The SSRCs that are the host's own, where a policy for any also protects others. Several: Asterisk takes another one in a native bridge,
/// and goes back behind it to the one that it had.
#[derive(Default)]
pub(super) struct Own {
    /// The latest one last.
    latest: [u32; LATEST],
    known: usize,
}

impl Own {
    pub(super) fn is_known(&self) -> bool {
        self.known != 0
    }

    fn latest(&self) -> &[u32] {
        &self.latest[..self.known]
    }

    /// It is the latest one now.
    pub(super) fn add(&mut self, ssrc: u32) {
        let has = self.latest().iter().position(|own| *own == ssrc);
        let at = match has {
            Some(at) => at,
            None if self.known < LATEST => {
                self.known += 1;
                self.known - 1
            }
            None => 0,
        };
        self.latest[at] = ssrc;
        self.latest[at..self.known].rotate_left(1);
    }

    /// If it is known as one, it is the latest one now.
    pub(super) fn refresh(&mut self, ssrc: u32) {
        if self.latest().contains(&ssrc) {
            self.add(ssrc);
        }
    }
}

/// An SSRC to send with.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) ssrc: u32,
    /// Those that do not pass through. `None`: none does.
    pub(super) own: Option<&'a Own>,
}

impl Source<'_> {
    fn passes(&self) -> bool {
        self.own
            .is_some_and(|own| !own.latest().contains(&self.ssrc))
    }
}

/// What is known of an SSRC that has not sent for long: what it may not use again.
#[derive(Default)]
pub(super) struct Rest {
    /// The highest index of an RTP packet.
    highest: Option<u64>,
    pub(super) rtcp_next: u32,
}

impl Rest {
    pub(super) fn of(rtp: Option<&Window>, rtcp_next: u32) -> Self {
        Self {
            highest: rtp.map(Window::highest),
            rtcp_next,
        }
    }

    /// All up to the highest one count as used.
    pub(super) fn window(&self) -> Option<Window> {
        self.highest.map(Window::used_up_to)
    }
}

/// The SSRCs under a key beside the [`WHOLE`] latest ones, and how many there are.
#[derive(Default)]
pub(super) struct Others {
    rests: BTreeMap<u32, Rest>,
    /// Of all the SSRCs under the key, those that pass through.
    passing: usize,
}

impl Others {
    /// What is known of an SSRC that is not among the `whole` latest ones, which is one of them from now on.
    pub(super) fn take(&mut self, source: Source<'_>, whole: usize) -> Result<Rest, ProtectError> {
        if let Some(rest) = self.rests.remove(&source.ssrc) {
            return Ok(rest);
        }
        let passes = source.passes();
        let is_full = match passes {
            true => self.passing >= MAX_PASSING_SOURCES,
            false => self.own(whole) >= MAX_LOCAL_SOURCES,
        };
        if is_full {
            return Err(ProtectError::TooManySources);
        }
        self.passing += usize::from(passes);
        Ok(Rest::default())
    }

    /// It is not among the latest ones any more.
    pub(super) fn put(&mut self, ssrc: u32, rest: Rest) {
        self.rests.insert(ssrc, rest);
    }

    /// SSRCs of the host's own under the key.
    pub(super) fn own(&self, whole: usize) -> usize {
        whole + self.rests.len() - self.passing
    }

    pub(super) fn roc(&self, ssrc: u32) -> Option<u32> {
        Some((self.rests.get(&ssrc)?.highest? >> 16) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_own_ones_are_known() {
        let mut own = Own::default();
        assert!(!own.is_known());
        for ssrc in 0..LATEST as u32 {
            own.add(ssrc);
        }
        assert_eq!(own.latest(), [0, 1, 2, 3, 4, 5, 6, 7]);
        own.add(3);
        own.refresh(0);
        own.refresh(100);
        own.add(8);
        assert_eq!(own.latest(), [2, 4, 5, 6, 7, 3, 0, 8]);
    }
}
