//! Many packets in one call: relays, conferences.

use packet_crypto::{AesCmHmacSha1, CmOpen, CmSeal, Kernels, prefetch, prefetch_front};
use smallvec::SmallVec;

use crate::error::{ProtectError, UnprotectError};
use crate::session::Session;

/// One packet for [`protect_rtp_batch`]; the fields are the arguments of
/// [`Session::protect_rtp`].
pub struct ProtectRtp<'a> {
    /// The session; each packet of a batch has another one.
    pub session: &'a mut Session,
    /// The packet. Several jobs may have the same one.
    pub src: &'a [u8],
    /// Where the SRTP packet goes.
    pub dst: &'a mut [u8],
    /// Written: the SRTP packet's length, or why there is none.
    pub result: Result<usize, ProtectError>,
}

impl<'a> ProtectRtp<'a> {
    /// A job that is not done yet.
    pub fn new(session: &'a mut Session, src: &'a [u8], dst: &'a mut [u8]) -> Self {
        ProtectRtp {
            session,
            src,
            dst,
            result: Err(ProtectError::NoKey),
        }
    }
}

/// Packets that are sealed together: what the widest kernel takes at once.
const GROUP: usize = 16;

/// Octets of a packet that are read to find its key and index.
const HEADER: usize = 16;

/// Octets of an output that are asked for ahead. The rest of a longer one follows by itself.
const FRONT: usize = 256;

/// [`Session::protect_rtp`] for every job, with the same outcome. Quicker because sessions, keys
/// and packets are fetched into the cache ahead, and because several packets of AES-CM are
/// authenticated at once.
///
/// ```
/// use srtp::{LocalSsrc, MasterKey, Policy, ProtectRtp, Session, Suite, protect_rtp_batch};
///
/// let suite = Suite::AesCm128HmacSha1_80;
/// let mut sessions: Vec<Session> = (0..3).map(|_| Session::new(srtp::kernels())).collect();
/// for (session, n) in sessions.iter_mut().zip(0..) {
///     let key = MasterKey::new(suite, &[n; 30])?;
///     session.set_local(LocalSsrc::Any, &Policy::new(suite, key, None)?)?;
/// }
/// let packet = *b"\x80\x00\x00\x01\0\0\0\0\0\0\0\x09hello";
/// let mut buffers = [[0; 17 + srtp::MAX_TRAILER]; 3];
/// let mut jobs: Vec<_> = sessions
///     .iter_mut()
///     .zip(&mut buffers)
///     .map(|(session, buffer)| ProtectRtp::new(session, &packet, buffer))
///     .collect();
/// protect_rtp_batch(&mut jobs);
/// assert!(jobs.iter().all(|job| job.result == Ok(27)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn protect_rtp_batch(jobs: &mut [ProtectRtp]) {
    if jobs.len() <= GROUP && !pays(jobs.first().map(|job| job.session.kernels), jobs.len()) {
        // So few need nothing ahead, either.
        return protect(jobs);
    }
    // What a session points at can only be asked for once the session itself is there.
    for step in 0..jobs.len().div_ceil(GROUP) + 2 {
        for job in group(jobs, Some(step)) {
            prefetch(&job.session.counters.sent_rtp);
            job.session.sender.prefetch();
            // The kernels ask for the rest.
            prefetch_front(job.src, HEADER);
        }
        for job in group(jobs, step.checked_sub(1)) {
            job.session.sender.prefetch_behind(seq(job.src));
            prefetch_front(job.dst, FRONT.min(job.src.len()));
        }
        protect(group(jobs, step.checked_sub(2)));
    }
}

/// The sequence number that a packet seems to have.
#[inline]
fn seq(packet: &[u8]) -> u16 {
    packet
        .get(2..4)
        .map_or(0, |octets| u16::from_be_bytes([octets[0], octets[1]]))
}

fn group<J>(jobs: &mut [J], n: Option<usize>) -> &mut [J] {
    n.and_then(|n| jobs.chunks_mut(GROUP).nth(n))
        .unwrap_or_default()
}

/// Whether so many packets are quicker together than one after the other.
fn pays(kernels: Option<&'static Kernels>, packets: usize) -> bool {
    kernels
        .and_then(Kernels::least_in_lanes)
        .is_some_and(|least| packets >= least)
}

fn protect(jobs: &mut [ProtectRtp]) {
    if !pays(jobs.first().map(|job| job.session.kernels), jobs.len()) {
        for job in jobs {
            job.result = job.session.protect_rtp(job.src, job.dst);
        }
        return;
    }
    let mut seals: SmallVec<[CmSeal; GROUP]> = SmallVec::new();
    let mut ends: SmallVec<[_; GROUP]> = SmallVec::new();
    for job in jobs {
        let ProtectRtp {
            session,
            src,
            dst,
            result,
        } = job;
        let Session {
            sender,
            counters,
            kernels,
            ..
        } = &mut **session;
        let sent = match sender.place_rtp(kernels, src, dst.len()) {
            Err(why) => Err(why),
            Ok(placed) => match placed.job(src, dst) {
                Ok(seal) => {
                    seals.push(seal);
                    ends.push((placed, counters, result));
                    continue;
                }
                Err(dst) => placed.seal(src, dst),
            },
        };
        *result = counters.protected_rtp(sent);
    }
    AesCmHmacSha1::seal_batch(&mut seals);
    for (seal, (placed, counters, result)) in seals.iter_mut().zip(&mut ends) {
        **result = counters.protected_rtp(placed.finish(seal));
    }
}

/// One packet for [`unprotect_rtp_batch`]; the fields are the arguments of
/// [`Session::unprotect_rtp`].
pub struct UnprotectRtp<'a> {
    /// The session; each packet of a batch has another one.
    pub session: &'a mut Session,
    /// The SRTP packet; then the RTP packet in its first octets.
    pub packet: &'a mut [u8],
    /// Written: the RTP packet's length, or why there is none.
    pub result: Result<usize, UnprotectError>,
}

impl<'a> UnprotectRtp<'a> {
    /// A job that is not done yet.
    pub fn new(session: &'a mut Session, packet: &'a mut [u8]) -> Self {
        UnprotectRtp {
            session,
            packet,
            result: Err(UnprotectError::NoKey),
        }
    }
}

/// [`Session::unprotect_rtp`] for every job, with the same outcome, and quicker as
/// [`protect_rtp_batch`] is. What has more than one key or index to be tried with (new keys, an
/// MKI, an SSRC's first packet) is done as by a single call.
///
/// ```
/// use srtp::{LocalSsrc, MasterKey, Policy, Session, Suite, UnprotectRtp, unprotect_rtp_batch};
///
/// let suite = Suite::AesCm128HmacSha1_80;
/// let packet = *b"\x80\x00\x00\x01\0\0\0\0\0\0\0\x09hello";
/// let (mut sessions, mut buffers) = (Vec::new(), Vec::new());
/// for n in 0..3 {
///     let policy = Policy::new(suite, MasterKey::new(suite, &[n; 30])?, None)?;
///     let mut session = Session::new(srtp::kernels());
///     session.set_local(LocalSsrc::Any, &policy)?;
///     session.set_remote(&[policy], false, 0)?;
///     let mut buffer = [0; 17 + srtp::MAX_TRAILER];
///     let len = session.protect_rtp(&packet, &mut buffer)?;
///     buffers.push(buffer[..len].to_vec());
///     sessions.push(session);
/// }
/// let mut jobs: Vec<_> = sessions
///     .iter_mut()
///     .zip(&mut buffers)
///     .map(|(session, buffer)| UnprotectRtp::new(session, buffer))
///     .collect();
/// unprotect_rtp_batch(&mut jobs, 0);
/// assert!(jobs.iter().all(|job| job.result == Ok(17) && job.packet[..17] == packet));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn unprotect_rtp_batch(jobs: &mut [UnprotectRtp], now_ms: u64) {
    if jobs.len() <= GROUP && !pays(jobs.first().map(|job| job.session.kernels), jobs.len()) {
        return unprotect(jobs, now_ms);
    }
    for step in 0..jobs.len().div_ceil(GROUP) + 2 {
        for job in group(jobs, Some(step)) {
            job.session.receiver.prefetch();
            prefetch(&job.session.counters.received_rtp);
            prefetch_front(job.packet, HEADER);
        }
        for job in group(jobs, step.checked_sub(1)) {
            job.session.receiver.prefetch_behind();
        }
        unprotect(group(jobs, step.checked_sub(2)), now_ms);
    }
}

fn unprotect(jobs: &mut [UnprotectRtp], now_ms: u64) {
    if !pays(jobs.first().map(|job| job.session.kernels), jobs.len()) {
        for job in jobs {
            job.result = job.session.unprotect_rtp(job.packet, now_ms);
        }
        return;
    }
    let mut opens: SmallVec<[CmOpen; GROUP]> = SmallVec::new();
    let mut expected: SmallVec<[_; GROUP]> = SmallVec::new();
    for job in jobs.iter_mut() {
        expected.push(job.session.receiver.open_job(job.packet).map(|(open, of)| {
            opens.push(open);
            of
        }));
    }
    AesCmHmacSha1::open_batch(&mut opens);
    let authentic: SmallVec<[bool; GROUP]> = opens.iter().map(|o| o.result.is_ok()).collect();
    drop(opens);
    let mut authentic = authentic.into_iter();
    for (job, verified) in jobs.iter_mut().zip(expected) {
        let Session {
            receiver, counters, ..
        } = &mut *job.session;
        let opened = match verified {
            None => receiver.unprotect_rtp(job.packet, now_ms),
            Some(of) if authentic.next() == Some(true) => Ok(receiver.accept_rtp(&of, now_ms)),
            // It may yet have another index.
            Some(_) => receiver.unprotect_rtp(job.packet, now_ms),
        };
        job.result = counters.unprotected_rtp(opened);
    }
}
