//! The table's groups and what is in each.

mod each_way;
mod hardware;
mod ipsec_mb;
mod many;
mod set_up;

use srtp::Suite;

use crate::Case;
use crate::rigs::{LibSrtp, Rig, SUITES, WebRtc, ours};

pub const OURS: &str = "ciphertrunk";
pub const OURS_BATCH: &str = "ciphertrunk, batch call of 64";
/// What a packet of AES-CM with 20, 160 and 1,200 octets of payload has to wait for: each block of SHA-1, the outer hash's
/// too, needs the one before.
pub const CHAIN_2: &str = "two chained SHA-1 blocks (CM)";
pub const CHAIN_4: &str = "four chained SHA-1 blocks (CM)";
pub const CHAIN_21: &str = "21 chained SHA-1 blocks (CM)";
pub const IPSEC_MB: &str = "intel-ipsec-mb (cipher only)";
pub const ONE_BY_ONE: &str = "ciphertrunk, sessions one by one";
pub const OPENSSL: &str = "libsrtp + OpenSSL";
pub const DISTRIBUTION: &str = "libsrtp of the distribution";
const WEBRTC: &str = "webrtc-srtp";

pub struct Libraries {
    openssl: LibSrtp,
    distribution: Option<LibSrtp>,
}

impl Libraries {
    pub fn load() -> Self {
        Self {
            openssl: LibSrtp::on_openssl(),
            distribution: LibSrtp::of_the_distribution(),
        }
    }

    pub fn describe(&self) -> String {
        // What the distribution's library brought along says what it computes with.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let backend = if maps.contains("libnss3") {
            "NSS"
        } else {
            "its own or OpenSSL"
        };
        // SAFETY: a static string.
        let openssl = unsafe {
            std::ffi::CStr::from_ptr(openssl_sys::OpenSSL_version(openssl_sys::OPENSSL_VERSION))
        };
        format!(
            "libsrtp + OpenSSL            {}, configure --enable-openssl, {}\n\
             libsrtp of the distribution  {}, on {backend}\n\
             intel-ipsec-mb               {}",
            self.openssl.version,
            openssl.to_string_lossy(),
            self.distribution.map_or("not installed", |d| d.version),
            ipsec_mb::version().to_string_lossy(),
        )
    }
}

#[derive(Clone, Copy)]
pub enum Group {
    /// A suite and the octets of a payload.
    Protect(usize, usize),
    Unprotect(usize, usize),
    Rtcp,
    Batch,
    BatchUnprotect,
    Live,
    SetUp,
    Bounds,
}

pub fn groups() -> Vec<Group> {
    let mut groups = vec![Group::Bounds];
    for suite in 0..SUITES.len() {
        for payload in [20, 160, 1200] {
            groups.push(Group::Protect(suite, payload));
            groups.push(Group::Unprotect(suite, payload));
        }
    }
    groups.extend([Group::Rtcp, Group::Batch, Group::BatchUnprotect]);
    groups.extend([Group::SetUp, Group::Live]);
    groups
}

impl Group {
    pub fn name(self) -> String {
        let cm = "AES_CM_128_HMAC_SHA1_80";
        match self {
            Group::Protect(suite, payload) => {
                format!("{}, 12 + {payload} bytes, protect", SUITES[suite].1)
            }
            Group::Unprotect(suite, payload) => {
                format!("{}, 12 + {payload} bytes, unprotect", SUITES[suite].1)
            }
            Group::Rtcp => format!("{cm}, RTCP of {} bytes, protect", each_way::RTCP),
            Group::Batch => format!("{cm}, 12 + 160 bytes, 16 sessions"),
            Group::BatchUnprotect => format!("{cm}, 16 sessions, 12 + 160 bytes, unprotect"),
            Group::Live => format!("{cm}, 12 + 160 bytes, 10000 live sessions"),
            Group::SetUp => format!("{cm}, session set-up (sending and receiving, RTP and RTCP)"),
            Group::Bounds => "bounds of the hardware".into(),
        }
    }

    /// The packets of one round through all sessions, if the group is about what they find in the cache.
    pub fn round(self) -> Option<usize> {
        matches!(self, Group::Live).then_some(many::LIVE)
    }

    pub fn cases(self, libraries: &Libraries) -> Vec<Case<'_>> {
        let name = &self.name();
        match self {
            Group::Protect(suite, payload) => each_way::protect(libraries, name, suite, payload),
            Group::Unprotect(suite, payload) => {
                each_way::unprotect(libraries, name, suite, payload)
            }
            Group::Rtcp => each_way::rtcp(libraries, name),
            Group::Batch => many::batch(libraries, name),
            Group::BatchUnprotect => many::batch_unprotect(libraries, name),
            Group::Live => many::live(libraries, name),
            Group::SetUp => set_up::cases(libraries, name),
            Group::Bounds => hardware::cases(name),
        }
    }
}

fn rtp(seq: u16, ssrc: u32, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(seq.to_be_bytes());
    packet.extend([0, 0, 0, 1]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..payload).map(|i| (i * 31 + 7) as u8));
    packet
}

fn rigs(libraries: &Libraries, suite: Suite, key: &[u8]) -> Vec<(&'static str, Box<dyn Rig>)> {
    let mut rigs: Vec<(&str, Box<dyn Rig>)> = vec![(OURS, Box::new(ours(suite, key)))];
    let openssl = libraries
        .openssl
        .rig(suite, key)
        .expect("libsrtp on OpenSSL has every suite");
    rigs.push((OPENSSL, Box::new(openssl)));
    if let Some(rig) = libraries.distribution.and_then(|lib| lib.rig(suite, key)) {
        rigs.push((DISTRIBUTION, Box::new(rig)));
    }
    if let Some(rig) = WebRtc::new(suite, key) {
        rigs.push((WEBRTC, Box::new(rig)));
    }
    rigs
}
