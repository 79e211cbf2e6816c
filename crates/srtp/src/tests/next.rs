//! The straight way of a stream's next packet beside the way of every packet: sessions that differ in nothing but that one of
//! them must always take the latter.

use super::*;

/// Packets of a stream with losses, repetitions, other packets under used indexes, jumps, and headers of every kind.
struct Stream {
    seq: u16,
    x: u64,
}

impl Stream {
    fn random(&mut self, n: u64) -> u64 {
        self.x = self
            .x
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.x >> 33) % n
    }

    fn packet(&mut self) -> Vec<u8> {
        self.seq = match self.random(20) {
            0 => self.seq,
            1 => self.seq.wrapping_sub(self.random(70) as u16),
            2 => self.seq.wrapping_add(self.random(300) as u16),
            _ => self.seq.wrapping_add(1),
        };
        let ssrc = match self.random(8) {
            0 => SSRC + 1,
            _ => SSRC,
        };
        let payload = vec![self.random(2) as u8; self.random(90) as usize];
        let mut packet = rtp_from(ssrc, self.seq, &payload);
        match self.random(40) {
            0 => packet[0] = 0x81,
            1 => packet[0] = 0x90,
            2 => packet[0] = 0xa0,
            3 => packet[0] = 0x40,
            4 => packet.truncate(11),
            _ => (),
        }
        packet
    }
}

#[test]
fn the_next_packet_is_protected_as_every_packet_is() {
    for suite in [CM, CM_32, GCM, Suite::AeadAes256Gcm] {
        let mut next = sender(&policy(suite, 7));
        // The policy is not the first one.
        let mut any = Session::new(kernels());
        for (ssrc, n) in [(LocalSsrc::Specific(1), 8), (LocalSsrc::Any, 7)] {
            any.set_local(ssrc, &policy(suite, n)).unwrap();
        }
        let mut stream = Stream { seq: 0xfff0, x: 3 };
        let mut sent = 0;
        for n in 0..20_000 {
            let packet = stream.packet();
            // Now and then with too little room.
            let room = packet.len() + stream.random(40) as usize;
            let [one, other] = [&mut next, &mut any].map(|session| {
                let mut buffer = vec![0; room];
                let sent = session.protect_rtp(&packet, &mut buffer);
                sent.map(|len| buffer[..len].to_vec())
            });
            assert_eq!(one, other, "{suite}, packet {n}");
            sent += usize::from(one.is_ok());
            assert_eq!(next.stats(), any.stats(), "{suite}, packet {n}");
        }
        assert!(sent > 5_000, "{suite}: {sent}");
    }
}

#[test]
fn the_next_packet_is_unprotected_as_every_packet_is() {
    for suite in [CM, CM_32, GCM, Suite::AeadAes256Gcm] {
        let policy_of = |n| policy(suite, n);
        let mut from = sender(&policy_of(7));
        let mut next = receiver(&policy_of(7));
        next.renew();
        // The key before is tried for a while yet.
        let mut any = receiver(&policy_of(8));
        any.set_remote(&[policy_of(7)], false, 0).unwrap();
        any.commit();
        let mut stream = Stream { seq: 0xfff0, x: 5 };
        let (mut heard, mut forged) = (0, 0);
        for n in 0..20_000 {
            let packet = stream.packet();
            let Ok(mut sealed) = protect(&mut from, &packet) else {
                continue;
            };
            if n > 10 && stream.random(9) == 0 {
                let at = stream.random(sealed.len() as u64) as usize;
                sealed[at] ^= 1 << stream.random(8);
                forged += 1;
            }
            let one = unprotect(&mut next, &sealed);
            let other = unprotect(&mut any, &sealed);
            assert_eq!(one, other, "{suite}, packet {n}");
            heard += usize::from(one.is_ok());
            let ssrcs = [SSRC, SSRC + 1];
            assert_eq!(next.stats(), any.stats(), "{suite}, packet {n}");
            assert_eq!(ssrcs.map(|s| next.missed(s)), ssrcs.map(|s| any.missed(s)));
        }
        assert!(heard > 5_000 && forged > 500, "{suite}: {heard}, {forged}");
    }
}
