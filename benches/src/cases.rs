//! The table's groups and what is in each.

use std::hint::black_box;
use std::time::{Duration, Instant};

use packet_crypto::{AesCmHmacSha1, CmSeal, Packet};
use srtp::{ProtectRtp, Session, Suite, protect_rtp_batch};

use crate::Case;
use crate::bounds;
use crate::rigs::{LibSrtp, Rig, SUITES, WebRtc, key_of, ours};

pub const OURS: &str = "ciphertrunk";
pub const OURS_BATCH: &str = "ciphertrunk, batch call of 64";
pub const CHAIN: &str = "four chained SHA-1 blocks (CM)";
pub const OPENSSL: &str = "libsrtp + OpenSSL";
pub const DISTRIBUTION: &str = "libsrtp of the distribution";
const WEBRTC: &str = "webrtc-srtp";

pub struct Libraries {
    openssl: LibSrtp,
    distribution: Option<LibSrtp>,
}

unsafe extern "C" {
    fn mb_version() -> *const std::ffi::c_char;
    fn mb_new(key: *const u8, auth: *const u8) -> *mut std::ffi::c_void;
    fn mb_cm(
        rig: *mut std::ffi::c_void,
        n: i32,
        packets: *const *mut u8,
        iv: *const u8,
        clear: u64,
        len: u64,
    );
    fn mb_gcm(
        rig: *mut std::ffi::c_void,
        dst: *mut u8,
        src: *const u8,
        clear: u64,
        len: u64,
        nonce: *const u8,
    );
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
        // SAFETY: both give static strings.
        let (openssl, mb) = unsafe {
            (
                std::ffi::CStr::from_ptr(openssl_sys::OpenSSL_version(
                    openssl_sys::OPENSSL_VERSION,
                )),
                std::ffi::CStr::from_ptr(mb_version()),
            )
        };
        format!(
            "libsrtp + OpenSSL            {}, configure --enable-openssl, {}\n\
             libsrtp of the distribution  {}, on {backend}\n\
             intel-ipsec-mb               {}",
            self.openssl.version,
            openssl.to_string_lossy(),
            self.distribution.map_or("not installed", |d| d.version),
            mb.to_string_lossy(),
        )
    }
}

#[derive(Clone, Copy)]
pub enum Group {
    Protect(usize, usize),
    Unprotect(usize, usize),
    Batch,
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
    groups.extend([Group::Batch, Group::SetUp, Group::Live]);
    groups
}

pub fn make<'a>(group: Group, libraries: &'a Libraries) -> Vec<Case<'a>> {
    match group {
        Group::Protect(suite, payload) => each_way(libraries, suite, payload, true),
        Group::Unprotect(suite, payload) => each_way(libraries, suite, payload, false),
        Group::Batch => batch(libraries),
        Group::Live => live(libraries),
        Group::SetUp => set_up(libraries),
        Group::Bounds => hardware(),
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

/// So many packets are protected, then unprotected, in a turn; small enough for the first-level cache.
const RING: usize = 64;

fn each_way<'a>(
    libraries: &Libraries,
    suite: usize,
    payload: usize,
    protect: bool,
) -> Vec<Case<'a>> {
    let (suite, name) = SUITES[suite];
    let way = if protect { "protect" } else { "unprotect" };
    let group = format!("{name}, 12 + {payload} bytes, {way}");
    let key = key_of(suite, 1);

    // Every rig gives the same bytes.
    let plain = rtp(7, 0x1234_5678, payload);
    let mut outputs = rigs(libraries, suite, &key)
        .into_iter()
        .map(|(name, mut rig)| {
            let mut out = vec![0; plain.len() + 200];
            let len = rig.protect(&plain, &mut out);
            out.truncate(len);
            let sealed = out.clone();
            let len = rig.unprotect(&mut out);
            assert!(out[..len] == plain, "{name}: not what went in");
            sealed
        });
    let reference = outputs.next().unwrap();
    assert!(
        outputs.all(|out| out == reference),
        "{group}: outputs differ"
    );

    let mut cases: Vec<_> = rigs(libraries, suite, &key)
        .into_iter()
        .map(|(name, mut rig)| {
            let mut seq = 0u16;
            let mut packets = vec![rtp(0, 0x1234_5678, payload); RING];
            let mut out = vec![vec![0u8; payload + 12 + 200]; RING];
            if protect {
                // The sequence numbers are written before, as a packet's header is: a load of bytes that were stored
                // in smaller pieces a moment ago waits until those stores are done, and with them the packet before.
                Case::with_preparation(&group, name, RING, move |calls| {
                    let mut time = Duration::ZERO;
                    for _ in 0..calls {
                        for packet in &mut packets {
                            seq = seq.wrapping_add(1);
                            packet[2..4].copy_from_slice(&seq.to_be_bytes());
                        }
                        let start = Instant::now();
                        for (packet, out) in packets.iter().zip(&mut out) {
                            black_box(rig.protect(packet, out));
                        }
                        time += start.elapsed();
                    }
                    time
                })
            } else {
                let mut lens = [0; RING];
                Case::with_preparation(&group, name, RING, move |calls| {
                    let mut time = Duration::ZERO;
                    for _ in 0..calls {
                        for ((packet, out), len) in packets.iter_mut().zip(&mut out).zip(&mut lens)
                        {
                            seq = seq.wrapping_add(1);
                            packet[2..4].copy_from_slice(&seq.to_be_bytes());
                            *len = rig.protect(packet, out);
                        }
                        let start = Instant::now();
                        for (out, len) in out.iter_mut().zip(lens) {
                            black_box(rig.unprotect(&mut out[..len]));
                        }
                        time += start.elapsed();
                    }
                    time
                })
            }
        })
        .collect();
    if protect {
        cases.extend(ipsec_mb(&group, suite, payload));
    }
    cases
}

/// intel-ipsec-mb has no SRTP: its AES and authentication alone, under session keys of its own.
fn ipsec_mb<'a>(group: &str, suite: Suite, payload: usize) -> Vec<Case<'a>> {
    let len = 12 + payload;
    // SAFETY: 16 and 20 readable bytes; the rig lives as long as the process.
    let rig = unsafe { mb_new([1u8; 16].as_ptr(), [2u8; 20].as_ptr()) };
    let plain = rtp(7, 9, payload);
    match suite {
        Suite::AesCm128HmacSha1_80 => {
            let reference =
                AesCmHmacSha1::new(packet_crypto::kernels(), &[1; 16], &[2; 20]).unwrap();
            let case = move |name, n: usize| {
                let mut packets = vec![[&plain[..], &[0; 16]].concat(); n];
                let pointers: Vec<*mut u8> = packets.iter_mut().map(|p| p.as_mut_ptr()).collect();
                let iv = [3u8; 16];
                let run = move |_: &Vec<Vec<u8>>| unsafe {
                    // SAFETY: every packet has room for the ROC and the tag behind `len`.
                    mb_cm(
                        rig,
                        n as i32,
                        pointers.as_ptr(),
                        iv.as_ptr(),
                        12,
                        len as u64,
                    );
                };
                run(&packets);
                let mut ours = plain.clone();
                let tag = reference.seal_in_place(&iv, 12, &mut ours, &[0; 4]);
                for packet in &packets {
                    assert!(
                        packet[..len] == ours && packet[len + 4..len + 14] == tag[..10],
                        "{name}: outputs differ"
                    );
                }
                Case::new(group, name, n, move || run(black_box(&packets)))
            };
            vec![
                case("intel-ipsec-mb, one (ciphers only)", 1),
                case("intel-ipsec-mb, 16 (ciphers only)", 16),
            ]
        }
        Suite::AeadAes128Gcm => {
            let reference = packet_crypto::AesGcm::new(packet_crypto::kernels(), &[1; 16]).unwrap();
            let mut out = vec![0; len + 16];
            let nonce = [3u8; 12];
            // SAFETY: `out` has room for the tag.
            let run = move |plain: &[u8], out: &mut [u8]| unsafe {
                mb_gcm(
                    rig,
                    out.as_mut_ptr(),
                    plain.as_ptr(),
                    12,
                    len as u64,
                    nonce.as_ptr(),
                );
            };
            run(&plain, &mut out);
            let mut ours = plain.clone();
            let tag = reference.seal_in_place(&nonce, 12, &mut ours, &[]);
            assert!(
                out[..len] == ours && out[len..] == tag,
                "intel-ipsec-mb: outputs differ"
            );
            vec![Case::new(
                group,
                "intel-ipsec-mb (cipher only)",
                1,
                move || {
                    run(black_box(&plain), &mut out);
                },
            )]
        }
        _ => Vec::new(),
    }
}

fn batch<'a>(libraries: &Libraries) -> Vec<Case<'a>> {
    const SESSIONS: usize = 16;
    let group = "AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, 16 sessions";
    let suite = Suite::AesCm128HmacSha1_80;
    let mut cases = vec![
        protect_batch(group, OURS, SESSIONS, 1),
        seal_batch(group, "ciphertrunk, kernels alone", SESSIONS, 1),
    ];
    let singly = |name, mut rigs: Vec<Box<dyn Rig>>| {
        let mut packets: Vec<_> = (0..SESSIONS).map(|i| rtp(0, i as u32, 160)).collect();
        let mut out = vec![vec![0u8; 400]; SESSIONS];
        let mut seq = 0u16;
        Case::new(group, name, SESSIONS, move || {
            seq = seq.wrapping_add(1);
            for ((rig, packet), out) in rigs.iter_mut().zip(&mut packets).zip(&mut out) {
                packet[2..4].copy_from_slice(&seq.to_be_bytes());
                black_box(rig.protect(packet, out));
            }
        })
    };
    let each = |make: &dyn Fn(&[u8]) -> Box<dyn Rig>| -> Vec<Box<dyn Rig>> {
        (0..SESSIONS)
            .map(|i| make(&key_of(suite, i as u8)))
            .collect()
    };
    cases.push(singly(
        "ciphertrunk, sessions one by one",
        each(&|key| Box::new(ours(suite, key))),
    ));
    let openssl = libraries.openssl;
    cases.push(singly(
        OPENSSL,
        each(&|key| Box::new(openssl.rig(suite, key).unwrap())),
    ));
    if let Some(lib) = libraries.distribution {
        cases.push(singly(
            DISTRIBUTION,
            each(&|key| Box::new(lib.rig(suite, key).unwrap())),
        ));
    }
    cases
}

/// The batch call, of `batch` packets at a time, over sessions in an order that jumps by `stride`. Each packet has its
/// sequence number written before, as in the cases without a batch.
fn protect_batch<'a>(group: &str, name: &'static str, count: usize, stride: usize) -> Case<'a> {
    let batch = count.min(64);
    let suite = Suite::AesCm128HmacSha1_80;
    let sessions: Vec<Session> = (0..count)
        .map(|i| ours(suite, &key_of(suite, i as u8)).0)
        .collect();
    let sessions = sessions.leak();
    let mut packets: Vec<_> = (0..count)
        .map(|i| (0u16, rtp(0, i as u32, 160), vec![0u8; 400]))
        .collect();
    let mut at = 0;
    Case::new(group, name, batch, move || {
        let (sessions, packets) = (sessions.as_mut_ptr(), packets.as_mut_ptr());
        let mut jobs: Vec<ProtectRtp> = Vec::with_capacity(batch);
        jobs.extend((0..batch).map(|_| {
            // SAFETY: inside both; the places of one batch differ, as the stride has no factor in common with the
            // number of sessions and a batch is no longer than that.
            let (session, (seq, packet, out)) =
                unsafe { (&mut *sessions.add(at), &mut *packets.add(at)) };
            *seq = seq.wrapping_add(1);
            packet[2..4].copy_from_slice(&seq.to_be_bytes());
            at = (at + stride) % count;
            ProtectRtp::new(session, packet, out)
        }));
        protect_rtp_batch(&mut jobs);
        assert!(jobs.iter().all(|job| job.result == Ok(182)));
    })
}

/// The kernels' batch call, of `batch` packets at a time, over `sessions` keys in an order that jumps by `stride`.
fn seal_batch<'a>(group: &str, name: &'static str, sessions: usize, stride: usize) -> Case<'a> {
    let batch = sessions.min(64);
    let k = packet_crypto::kernels();
    let keys: Vec<_> = (0..sessions)
        .map(|i| AesCmHmacSha1::new(k, &[i as u8; 16], &[(i >> 8) as u8; 20]).unwrap())
        .collect();
    let packets: Vec<_> = (0..sessions).map(|i| rtp(0, i as u32, 160)).collect();
    let mut out = vec![[0u8; 192]; sessions];
    let mut at = 0;
    Case::new(group, name, batch, move || {
        let mut spots: Vec<usize> = Vec::with_capacity(batch);
        for _ in 0..batch {
            spots.push(at);
            at = (at + stride) % sessions;
        }
        let base = out.as_mut_ptr();
        let mut jobs: Vec<CmSeal> = Vec::with_capacity(batch);
        jobs.extend(spots.iter().map(|&i| CmSeal {
            key: &keys[i],
            iv: [5; 16],
            clear: 12,
            // SAFETY: inside `out`; the spots of one batch differ, as the stride has no factor in common with the
            // number of sessions and a batch is no longer than that.
            packet: Packet::Copy {
                src: &packets[i],
                dst: unsafe { &mut *base.add(i) },
            },
            trailer: [0; 4],
            tag: [0; 20],
        }));
        AesCmHmacSha1::seal_batch(&mut jobs);
        for job in &mut jobs {
            if let Packet::Copy { dst, .. } = &mut job.packet {
                dst[172..182].copy_from_slice(&job.tag[..10]);
            }
        }
        black_box(&jobs);
    })
}

/// Ten thousand sessions taking turns in an order without a pattern: what counts is how much of each must be fetched.
fn live<'a>(libraries: &Libraries) -> Vec<Case<'a>> {
    const SESSIONS: usize = 10_000;
    /// No factor in common with the number of sessions.
    const STRIDE: usize = 6_367;
    let group = "AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, 10000 live sessions";
    let suite = Suite::AesCm128HmacSha1_80;
    let singly = |name, make: &dyn Fn(&[u8]) -> Box<dyn Rig>| {
        // Leaked: ten thousand sessions on NSS take minutes to close.
        let rigs: Vec<_> = (0..SESSIONS)
            .map(|i| make(&key_of(suite, i as u8)))
            .collect();
        let rigs = rigs.leak();
        let mut packets: Vec<_> = (0..SESSIONS)
            .map(|i| (0u16, rtp(0, i as u32, 160), vec![0u8; 400]))
            .collect();
        let mut at = 0;
        Case::new(group, name, 64, move || {
            for _ in 0..64 {
                let (seq, packet, out) = &mut packets[at];
                *seq = seq.wrapping_add(1);
                packet[2..4].copy_from_slice(&seq.to_be_bytes());
                black_box(rigs[at].protect(packet, out));
                at = (at + STRIDE) % SESSIONS;
            }
        })
    };
    let mut cases = vec![
        singly(OURS, &|key| Box::new(ours(suite, key))),
        protect_batch(group, OURS_BATCH, SESSIONS, STRIDE),
        seal_batch(
            group,
            "ciphertrunk, batch call of 64, kernels alone",
            SESSIONS,
            STRIDE,
        ),
    ];
    let openssl = libraries.openssl;
    cases.push(singly(OPENSSL, &|key| {
        Box::new(openssl.rig(suite, key).unwrap())
    }));
    if let Some(lib) = libraries.distribution {
        cases.push(singly(DISTRIBUTION, &|key| {
            Box::new(lib.rig(suite, key).unwrap())
        }));
    }
    cases
}

fn set_up<'a>(libraries: &'a Libraries) -> Vec<Case<'a>> {
    let group = "AES_CM_128_HMAC_SHA1_80, session set-up (sending and receiving, RTP and RTCP)";
    let suite = Suite::AesCm128HmacSha1_80;
    let key = key_of(suite, 1);
    let (key1, key2, key3, key4) = (key.clone(), key.clone(), key.clone(), key);
    // A context is made by the first packet of its SSRC in libsrtp and here alike: that is part of it.
    let first = |mut rig: Box<dyn Rig>| {
        let mut out = [0; 400];
        let len = rig.protect(&rtp(1, 1, 0), &mut out);
        black_box(rig.unprotect(&mut out[..len]));
    };
    let mut cases = vec![
        Case::new(group, OURS, 1, move || drop(black_box(ours(suite, &key1)))),
        Case::new(group, OPENSSL, 1, move || {
            drop(black_box(libraries.openssl.rig(suite, &key2)))
        }),
        Case::new(
            group,
            "ciphertrunk, with a first packet each way",
            1,
            move || first(Box::new(ours(suite, &key3))),
        ),
        Case::new(
            group,
            "libsrtp + OpenSSL, with a first packet each way",
            1,
            move || {
                first(Box::new(libraries.openssl.rig(suite, &key4).unwrap()));
            },
        ),
    ];
    if let Some(lib) = libraries.distribution {
        let key = key_of(suite, 1);
        cases.push(Case::new(group, DISTRIBUTION, 1, move || {
            drop(black_box(lib.rig(suite, &key)))
        }));
    }
    cases
}

fn hardware<'a>() -> Vec<Case<'a>> {
    let group = "bounds of the hardware for 12 + 160 bytes";
    let mut cases = Vec::new();
    if is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") {
        let (mut state, message) = ([1u32, 2, 3, 4, 0, 0, 0, 5], [[7u8; 64]; 4]);
        cases.push(Case::new(group, CHAIN, 1, move || {
            // SAFETY: the CPU has the features.
            unsafe { bounds::chained_sha1(&mut state, black_box(&message)) };
        }));
    }
    if is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("avx512f")
    {
        // SAFETY: any bytes are a vector.
        let keys = black_box(unsafe { std::mem::zeroed() });
        // SAFETY: the CPU has the features.
        cases.push(Case::new(
            group,
            "AES-128 of 12 blocks (GCM)",
            1,
            move || unsafe { bounds::aes12(&keys) },
        ));
        // SAFETY: any bytes are a vector.
        let powers = black_box(unsafe { std::mem::zeroed() });
        // SAFETY: the CPU has the features.
        cases.push(Case::new(
            group,
            "GHASH of 12 blocks (GCM)",
            1,
            move || unsafe { bounds::ghash12(&powers) },
        ));
    }
    cases
}
