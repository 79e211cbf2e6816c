//! Packets made at random.

use crate::random::Random;

impl Random {
    pub fn octets(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }

    /// An RTP packet with CSRCs, extension and padding at random.
    pub fn rtp(&mut self, ssrc: u32, seq: u16, payload: usize) -> Vec<u8> {
        let csrcs = if self.one_in(4) { self.below(16) } else { 0 };
        let extension = self.one_in(4).then(|| self.below(12));
        let mut body = self.octets(payload);
        let padded = payload > 0 && self.one_in(4);
        if padded {
            body[payload - 1] = 1 + self.below(payload.min(255)) as u8;
        }
        let flags = csrcs as u8 | u8::from(extension.is_some()) << 4 | u8::from(padded) << 5;
        let mut p = vec![0x80 | flags, self.next() as u8];
        p.extend(seq.to_be_bytes());
        p.extend(self.octets(4));
        p.extend(ssrc.to_be_bytes());
        p.extend(self.octets(4 * csrcs));
        if let Some(words) = extension {
            p.extend([0xbe, 0xde, 0, words as u8]);
            p.extend(self.octets(4 * words));
        }
        p.extend(body);
        p
    }

    /// An RTCP packet of `8 + 4 * words` octets.
    pub fn rtcp(&mut self, ssrc: u32, words: usize) -> Vec<u8> {
        let mut p = vec![0x80, 200 + self.below(8) as u8];
        p.extend((words as u16 + 1).to_be_bytes());
        p.extend(ssrc.to_be_bytes());
        p.extend(self.octets(4 * words));
        p
    }
}
