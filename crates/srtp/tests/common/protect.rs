//! A packet protected into a buffer of its own.

use super::{MAX_TRAILER, ProtectError, Session};

pub fn protect_rtp(s: &mut Session, packet: &[u8]) -> Result<Vec<u8>, ProtectError> {
    let mut out = vec![0xaa; packet.len() + MAX_TRAILER];
    let len = s.protect_rtp(packet, &mut out)?;
    out.truncate(len);
    Ok(out)
}

pub fn protect_rtcp(s: &mut Session, packet: &[u8]) -> Result<Vec<u8>, ProtectError> {
    let mut out = vec![0xaa; packet.len() + MAX_TRAILER];
    let len = s.protect_rtcp(packet, &mut out)?;
    out.truncate(len);
    Ok(out)
}
