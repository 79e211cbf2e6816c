//! A conference's fan-out: what the mixer has for each participant, protected in one call.

use std::time::Instant;

use srtp::{
    LocalSsrc, MAX_TRAILER, MasterKey, Policy, ProtectRtp, Session, Suite, protect_rtp_batch,
};

const PARTICIPANTS: usize = 48;
/// A header and 20 ms of G.711.
const PACKET: usize = 12 + 160;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut sessions = Vec::new();
    let mut listeners = Vec::new();
    for n in 0..PARTICIPANTS as u8 {
        let policy = Policy::new(suite, MasterKey::new(suite, &[n; 30])?, None)?;
        let (mut session, mut listener) =
            (Session::new(srtp::kernels()), Session::new(srtp::kernels()));
        session.set_local(LocalSsrc::Any, &policy)?;
        listener.set_remote(&[policy], false, 0)?;
        sessions.push(session);
        listeners.push(listener);
    }

    let mut buffers = vec![[0; PACKET + MAX_TRAILER]; PARTICIPANTS];
    let mut best = std::time::Duration::MAX;
    for seq in 0..50u16 {
        let mut packet = [0x80; PACKET];
        packet[2..4].copy_from_slice(&seq.to_be_bytes());
        let mut jobs: Vec<_> = sessions
            .iter_mut()
            .zip(&mut buffers)
            .map(|(session, buffer)| ProtectRtp::new(session, &packet, buffer))
            .collect();
        let start = Instant::now();
        protect_rtp_batch(&mut jobs);
        best = best.min(start.elapsed());
        let lengths: Vec<_> = jobs.into_iter().map(|job| job.result).collect();
        for ((listener, buffer), len) in listeners.iter_mut().zip(&mut buffers).zip(lengths) {
            let len = listener.unprotect_rtp(&mut buffer[..len?], 0)?;
            assert_eq!(buffer[..len], packet);
        }
    }
    println!(
        "{PARTICIPANTS} packets in {best:?} with {}",
        srtp::kernels().name()
    );
    Ok(())
}
