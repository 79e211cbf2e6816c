//! Lifetimes of master keys, as crypto attributes give them (RFC 4568 section 6.1), and how much of one is used up.
//!
//! The hard limits of RFC 3711 section 9.2 hold without this, in [`Session`](crate::Session).

use super::CryptoLine;
use crate::sender::MAX_LOCAL_SOURCES;
use crate::stats::KeyUsage;

/// So many SSRCs make a key old.
const OLD_SOURCES: usize = MAX_LOCAL_SOURCES / 4 * 3;

/// The lifetimes of the two keys in force, in packets; `None` where a line says none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyLifetimes {
    /// Of the key that we send with.
    pub local: Option<u64>,
    /// Of the peer's.
    pub remote: Option<u64>,
}

impl KeyLifetimes {
    /// Of what was agreed. A line with several keys has the shortest of theirs.
    pub(super) fn of(local: &CryptoLine, remote: &CryptoLine) -> Self {
        let shortest = |line: &CryptoLine| line.keys.iter().filter_map(|key| key.lifetime).min();
        Self {
            local: shortest(local),
            remote: shortest(remote),
        }
    }
}

/// How much of a key's lifetime is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyAge {
    /// Less than nine tenths, or it has none.
    #[default]
    Fresh,
    /// Nine tenths: a new key should be offered.
    Old,
    /// All of it.
    Spent,
}

impl KeyAge {
    /// RTP and RTCP packets each count against the lifetime: the one that is reached first decides (RFC 4568 section 6.1).
    pub fn of(usage: KeyUsage, lifetime: Option<u64>) -> Self {
        let Some(lifetime) = lifetime else {
            return Self::Fresh;
        };
        let used = usage.rtp.max(usage.rtcp);
        if used >= lifetime {
            Self::Spent
        } else if used >= lifetime - lifetime / 10 {
            Self::Old
        } else {
            Self::Fresh
        }
    }

    /// Of a key under which the host has had so many SSRCs of its own ([`Stats::local_sources`](crate::Stats::local_sources)): old from three quarters
    /// of [`MAX_LOCAL_SOURCES`] on, spent when there is room for none more, though those that there are may go on sending.
    pub fn of_sources(own: usize) -> Self {
        match own {
            MAX_LOCAL_SOURCES.. => Self::Spent,
            OLD_SOURCES.. => Self::Old,
            _ => Self::Fresh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_old_at_nine_tenths_and_spent_at_its_end() {
        let age = |rtp, rtcp| KeyAge::of(KeyUsage { rtp, rtcp }, Some(1000));
        assert_eq!(age(899, 899), KeyAge::Fresh);
        assert_eq!(age(900, 0), KeyAge::Old);
        assert_eq!(age(0, 900), KeyAge::Old);
        assert_eq!(age(999, 999), KeyAge::Old);
        assert_eq!(age(1000, 0), KeyAge::Spent);
        let used = KeyUsage {
            rtp: u64::MAX,
            rtcp: 0,
        };
        assert_eq!(KeyAge::of(used, None), KeyAge::Fresh);
    }

    #[test]
    fn a_key_is_old_with_three_quarters_of_its_sources() {
        let rows = [
            (0, KeyAge::Fresh),
            (3071, KeyAge::Fresh),
            (3072, KeyAge::Old),
            (4095, KeyAge::Old),
            (4096, KeyAge::Spent),
        ];
        for (own, age) in rows {
            assert_eq!(KeyAge::of_sources(own), age, "{own}");
        }
    }
}
