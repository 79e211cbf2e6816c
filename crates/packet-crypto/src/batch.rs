//! Many packets in one call, for relays and for the fan-out of a conference.
//!
//! Packets of a batch may be of different sessions, sizes and key sizes. The level's lanes hash up to sixteen packets
//! at once, which is far quicker than one after the other and quickest when their lengths are alike; and the keys and
//! packets ahead are fetched into the cache while others are worked on, which matters when thousands of sessions take
//! turns. A batch gives exactly the bytes that single calls give.

use crate::cm::AesCmHmacSha1;
use crate::error::AuthFailed;
use crate::gcm::AesGcm;
use crate::key::Span;
use crate::table::{CmKey, HmacJob, Lanes};
use crate::tag::{self, LENGTHS_CM};

/// Where a packet to be sealed is and goes. Several packets of a batch may have the same source.
pub enum Packet<'a> {
    /// Sealed where it is.
    InPlace(&'a mut [u8]),
    /// Sealed from `src` to the beginning of `dst`, which is at least as long.
    Copy {
        /// The packet.
        src: &'a [u8],
        /// Where it goes; what is behind the packet's length stays as it is.
        dst: &'a mut [u8],
    },
}

impl Packet<'_> {
    /// # Panics
    /// As `Span`'s constructors.
    fn span(&mut self, clear: usize) -> Span {
        match self {
            Self::InPlace(packet) => Span::in_place(clear, packet),
            Self::Copy { src, dst } => Span::copy(clear, src, dst),
        }
    }

    fn source(&self) -> &[u8] {
        match self {
            Self::InPlace(packet) => packet,
            Self::Copy { src, .. } => src,
        }
    }
}

/// One packet for [`AesCmHmacSha1::seal_batch`]; the fields are the arguments of [`AesCmHmacSha1::seal`].
pub struct CmSeal<'a> {
    /// The session's key.
    pub key: &'a AesCmHmacSha1,
    /// The counter block to begin with.
    pub iv: [u8; 16],
    /// How many bytes in front stay readable.
    pub clear: usize,
    /// The packet.
    pub packet: Packet<'a>,
    /// What is authenticated behind the packet.
    pub trailer: [u8; 4],
    /// Written: the whole HMAC.
    pub tag: [u8; 20],
}

/// One packet for [`AesCmHmacSha1::open_batch`]; the fields are the arguments of [`AesCmHmacSha1::open_in_place`].
pub struct CmOpen<'a> {
    /// The session's key.
    pub key: &'a AesCmHmacSha1,
    /// The counter block to begin with.
    pub iv: [u8; 16],
    /// How many bytes in front are not encrypted.
    pub clear: usize,
    /// The packet.
    pub packet: &'a mut [u8],
    /// What is authenticated behind the packet.
    pub trailer: [u8; 4],
    /// The tag that came with the packet.
    pub tag: &'a [u8],
    /// Written: whether the packet was authentic, and so was decrypted.
    pub result: Result<(), AuthFailed>,
}

/// One packet for [`AesGcm::seal_batch`]; the fields are the arguments of [`AesGcm::seal`].
pub struct GcmSeal<'a> {
    /// The session's key.
    pub key: &'a AesGcm,
    /// The nonce.
    pub nonce: [u8; 12],
    /// How many bytes in front stay readable.
    pub clear: usize,
    /// The packet.
    pub packet: Packet<'a>,
    /// What is authenticated behind the clear bytes.
    pub trailer: &'a [u8],
    /// Written: the tag.
    pub tag: [u8; 16],
}

/// One packet for [`AesGcm::open_batch`]; the fields are the arguments of [`AesGcm::open_in_place`].
pub struct GcmOpen<'a> {
    /// The session's key.
    pub key: &'a AesGcm,
    /// The nonce.
    pub nonce: [u8; 12],
    /// How many bytes in front are not encrypted.
    pub clear: usize,
    /// The packet.
    pub packet: &'a mut [u8],
    /// What is authenticated behind the clear bytes.
    pub trailer: &'a [u8],
    /// The tag that came with the packet.
    pub tag: &'a [u8],
    /// Written: whether the packet was authentic, and so was decrypted.
    pub result: Result<(), AuthFailed>,
}

/// How many packets ahead of the one that is worked on are fetched into the cache.
const AHEAD: usize = 8;

/// No batch kernel is wider.
const WIDEST: usize = 16;

/// Asks for the cache lines of `value`, for a caller that works on many things in turn. Does nothing on CPUs
/// other than x86-64.
#[inline]
pub fn prefetch<T: ?Sized>(value: &T) {
    prefetch_bytes((&raw const *value).cast(), size_of_val(value));
}

/// As [`prefetch`], for the first `len` bytes of `value` at most.
#[inline]
pub fn prefetch_front<T: ?Sized>(value: &T, len: usize) {
    prefetch_bytes((&raw const *value).cast(), len.min(size_of_val(value)));
}

/// Asks for the cache lines of `len` bytes.
#[inline]
fn prefetch_bytes(at: *const u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // From the beginning of a line on, or the last one would be left out.
        let end = at.wrapping_add(len);
        let mut line = at.wrapping_sub(at.addr() % 64);
        while line < end {
            // SAFETY: SSE is part of x86-64, and a prefetch may be of any address: it does not fault.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
            line = line.wrapping_add(64);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, len);
}

#[inline]
fn prefetch_cm(key: &AesCmHmacSha1, packet: &[u8]) {
    // What AES-128 needs; the rest of a longer key follows by itself.
    prefetch_bytes((&raw const key.key).cast(), 224.min(size_of::<CmKey>()));
    prefetch(packet);
}

#[inline]
fn prefetch_gcm(key: &AesGcm, packet: &[u8]) {
    prefetch(&key.key);
    prefetch(packet);
}

/// The lanes to be used for what is left of a batch, and how many packets they take; none if one after the other is
/// quicker.
fn lanes(key: &AesCmHmacSha1, left: usize) -> Option<(Lanes, usize)> {
    let lanes = key.key.fns.lanes.filter(|lanes| left >= lanes.least)?;
    Some((lanes, left.min(lanes.width)))
}

/// The tags of `count` packets, of which `job` gives each.
///
/// # Safety
/// `lanes` is of a level of this CPU, `1 <= count <= lanes.width`, and the jobs' packets are readable.
unsafe fn tags<'a>(
    lanes: Lanes,
    count: usize,
    job: impl Fn(usize) -> HmacJob<'a>,
) -> [[u8; 20]; WIDEST] {
    let jobs: [HmacJob; WIDEST] = core::array::from_fn(|i| job(i.min(count - 1)));
    let mut tags = [[0; 20]; WIDEST];
    // SAFETY: the CPU runs the lanes' level and each job's packet is readable, as the caller promises; `count` is at most
    // the lanes' width, and there are as many tags as the widest has.
    unsafe { (lanes.hmac)(&jobs[..count], &mut tags) };
    tags
}

impl AesCmHmacSha1 {
    /// [`Self::seal`] for every job, written to its `tag`.
    ///
    /// # Panics
    /// When a job's `clear` is behind its packet's end or its `dst` is shorter than its `src`. Jobs before it may be
    /// sealed then.
    pub fn seal_batch(jobs: &mut [CmSeal]) {
        for job in jobs.iter().take(AHEAD) {
            prefetch_cm(job.key, job.packet.source());
        }
        let mut at = 0;
        while let Some(first) = jobs.get(at) {
            let group = lanes(first.key, jobs.len() - at);
            let count = group.map_or(1, |(_, count)| count);
            let mut spans = [Span::EMPTY; WIDEST];
            for (i, span) in (at..at + count).zip(&mut spans) {
                if let Some(next) = jobs.get(i + AHEAD) {
                    prefetch_cm(next.key, next.packet.source());
                }
                let job = &mut jobs[i];
                *span = job.packet.span(job.clear);
                let key = &job.key.key;
                // SAFETY: the key was made with a level of this CPU; the span is of this job's slices.
                unsafe {
                    match group {
                        None => {
                            job.tag =
                                (key.fns.seal)(key, u128::from_le_bytes(job.iv), *span, job.trailer)
                                    .0
                        }
                        Some(_) => (key.fns.ctr)(key, u128::from_le_bytes(job.iv), *span),
                    }
                }
            }
            let group_jobs = &mut jobs[at..at + count];
            if let Some((lanes, _)) = group {
                let job = |i: usize| HmacJob {
                    key: &group_jobs[i].key.key,
                    packet: spans[i].dst,
                    len: spans[i].len,
                    trailer: group_jobs[i].trailer,
                };
                // SAFETY: a key made with the level has it; the spans are still this group's, and written.
                let tags = unsafe { tags(lanes, count, job) };
                for (job, tag) in group_jobs.iter_mut().zip(tags) {
                    job.tag = tag;
                }
            }
            at += count;
        }
    }

    /// [`Self::open_in_place`] for every job, written to its `result`. A packet that fails does not touch the others.
    ///
    /// # Panics
    /// When a job's `clear` is behind its packet's end. Jobs before it may be opened then.
    pub fn open_batch(jobs: &mut [CmOpen]) {
        for job in jobs.iter().take(AHEAD) {
            prefetch_cm(job.key, job.packet);
        }
        let mut at = 0;
        while let Some(first) = jobs.get(at) {
            let Some((lanes, count)) = lanes(first.key, jobs.len() - at) else {
                if let Some(next) = jobs.get(at + AHEAD) {
                    prefetch_cm(next.key, next.packet);
                }
                let CmOpen {
                    key,
                    iv,
                    clear,
                    packet,
                    trailer,
                    tag,
                    result,
                } = &mut jobs[at];
                *result = key.open_in_place(iv, *clear, packet, trailer, tag);
                at += 1;
                continue;
            };
            for job in jobs.iter().skip(at + AHEAD.max(count)).take(count) {
                prefetch_cm(job.key, job.packet);
            }
            let group = &mut jobs[at..at + count];
            let job = |i: usize| {
                let CmOpen {
                    key,
                    clear,
                    packet,
                    trailer,
                    ..
                } = &group[i];
                assert!(*clear <= packet.len());
                let (packet, len) = (packet.as_ptr(), packet.len());
                HmacJob {
                    key: &key.key,
                    packet,
                    len,
                    trailer: *trailer,
                }
            };
            // SAFETY: a key made with the level has it; the packets are slices of this group.
            let tags = unsafe { tags(lanes, count, job) };
            for (job, mac) in group.iter_mut().zip(tags) {
                let good = LENGTHS_CM.contains(&job.tag.len()) && tag::matches(&mac, job.tag);
                job.result = if good { Ok(()) } else { Err(AuthFailed) };
                if good {
                    let key = &job.key.key;
                    let span = Span::in_place(job.clear, job.packet);
                    // SAFETY: the key was made with a level of this CPU; the span is of this job's slice.
                    unsafe { (key.fns.ctr)(key, u128::from_le_bytes(job.iv), span) };
                }
            }
            at += count;
        }
    }
}

impl AesGcm {
    /// [`Self::seal`] for every job, written to its `tag`. GCM fills the CPU with one packet already; what a batch adds
    /// is that keys and packets are fetched ahead.
    ///
    /// # Panics
    /// As [`AesCmHmacSha1::seal_batch`].
    pub fn seal_batch(jobs: &mut [GcmSeal]) {
        for job in jobs.iter().take(AHEAD) {
            prefetch_gcm(job.key, job.packet.source());
        }
        for i in 0..jobs.len() {
            if let Some(next) = jobs.get(i + AHEAD) {
                prefetch_gcm(next.key, next.packet.source());
            }
            let GcmSeal {
                key,
                nonce,
                clear,
                packet,
                trailer,
                tag,
            } = &mut jobs[i];
            *tag = match packet {
                Packet::InPlace(packet) => key.seal_in_place(nonce, *clear, packet, trailer),
                Packet::Copy { src, dst } => key.seal(nonce, *clear, src, dst, trailer),
            };
        }
    }

    /// [`Self::open_in_place`] for every job, written to its `result`. A packet that fails does not touch the others.
    ///
    /// # Panics
    /// As [`AesCmHmacSha1::open_batch`].
    pub fn open_batch(jobs: &mut [GcmOpen]) {
        for job in jobs.iter().take(AHEAD) {
            prefetch_gcm(job.key, job.packet);
        }
        for i in 0..jobs.len() {
            if let Some(next) = jobs.get(i + AHEAD) {
                prefetch_gcm(next.key, next.packet);
            }
            let GcmOpen {
                key,
                nonce,
                clear,
                packet,
                trailer,
                tag,
                result,
            } = &mut jobs[i];
            *result = key.open_in_place(nonce, *clear, packet, trailer, tag);
        }
    }
}
