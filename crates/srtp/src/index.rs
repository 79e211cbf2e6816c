//! Packet indexes: from a 16-bit sequence number to the 48-bit index (RFC 3711 section 3.3.1).

/// Number of indexes of one key: RTP packets, 2^48 (RFC 3711 section 9.2).
pub(crate) const RTP_INDEXES: u64 = 1 << 48;
/// Number of indexes of one key: RTCP packets, 2^31 (RFC 3711 section 9.2).
pub(crate) const RTCP_INDEXES: u64 = 1 << 31;
/// Indexes between two packets with the same sequence number: one step of the rollover counter.
pub(crate) const TURN: u64 = 1 << 16;

/// The index that a packet with sequence number `seq` most likely has when `highest` is the
/// highest index known (RFC 3711 appendix A). `None` when it would lie beyond the last index.
///
/// Below index 2^15 no earlier rollover exists, so a sequence number far ahead is taken as it
/// stands (what libsrtp does too); appendix A would count down from zero there.
#[inline]
pub(crate) fn guess(highest: u64, seq: u16) -> Option<u64> {
    let roc = highest >> 16;
    let s_l = (highest & 0xffff) as i32;
    let delta = i32::from(seq) - s_l;
    let roc = if s_l < 0x8000 {
        if delta > 0x8000 && roc > 0 {
            roc - 1
        } else {
            roc
        }
    } else if delta < -0x8000 {
        roc + 1
    } else {
        roc
    };
    let index = roc << 16 | u64::from(seq);
    (index < RTP_INDEXES).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_wraps_both_ways() {
        let rows = [
            (65_534, 2, 65_538),
            (65_538, 1, 65_537),
            (65_538, 65_535, 65_535),
            (65_538, 0, 65_536),
            (0x1_8000, 0, 0x1_0000),
            (0x1_8001, 0, 0x2_0000),
            (0x1_7fff, 0xffff, 0x1_ffff),
            (0x1_7ffe, 0xffff, 0xffff),
            (0x5_0000, 0x8000, 0x5_8000),
            (0x5_0000, 0x8001, 0x4_8001),
        ];
        for (highest, seq, index) in rows {
            assert_eq!(guess(highest, seq), Some(index), "{highest:#x} {seq:#x}");
        }
    }

    #[test]
    fn nothing_lies_before_the_first_or_behind_the_last_index() {
        assert_eq!(guess(2, 65_535), Some(65_535));
        let last = RTP_INDEXES - 1;
        assert_eq!(guess(last - 1, 0xffff), Some(last));
        assert_eq!(guess(last, 0), None);
    }
}
