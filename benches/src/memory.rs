//! How much memory a session takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use srtp::{LocalSsrc, MasterKey, Policy, Session, Suite};

use crate::level::level;
use crate::rigs::key_of;

/// The system's allocator, which counts while it is asked to.
struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is passed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.load(Relaxed) {
            LIVE.fetch_add(layout.size(), Relaxed);
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if COUNTS.load(Relaxed) {
            LIVE.fetch_sub(layout.size(), Relaxed);
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Bytes of a session for AES_CM_128_HMAC_SHA1_80, itself and what it allocated.
pub struct CallLeg {
    /// With its keys for both ways, RTP and RTCP.
    pub set_up: usize,
    /// When an RTP packet went each way.
    pub used: usize,
}

pub fn call_leg() -> CallLeg {
    let suite = Suite::AesCm128HmacSha1_80;
    let policy = |seed| {
        let key = MasterKey::new(suite, &key_of(suite, seed)).unwrap();
        Policy::new(suite, key, None).unwrap()
    };
    let (to, from) = (policy(1), [policy(2)]);
    let mut peer = Session::new(level());
    peer.set_local(LocalSsrc::Any, &from[0]).unwrap();
    let packet = [0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4];
    let (mut sealed, mut out) = ([0; 200], [0; 200]);
    let len = peer.protect_rtp(&packet, &mut sealed).unwrap();

    COUNTS.store(true, Relaxed);
    let mut session = Session::new(level());
    session.set_local(LocalSsrc::Any, &to).unwrap();
    session.set_remote(&from, false, 0).unwrap();
    let set_up = LIVE.load(Relaxed) + size_of::<Session>();
    session.protect_rtp(&packet, &mut out).unwrap();
    session.unprotect_rtp(&mut sealed[..len], 0).unwrap();
    let used = LIVE.load(Relaxed) + size_of::<Session>();
    COUNTS.store(false, Relaxed);
    CallLeg { set_up, used }
}
