//! Nanoseconds per packet of every level this CPU has: `cargo bench -p packet-crypto`.
use packet_crypto::*;
use std::hint::black_box;
use std::time::Instant;

type Case<'a> = (String, Box<dyn FnMut() + 'a>);

fn measure(cases: &mut [Case]) -> Vec<f64> {
    let mut best = vec![f64::MAX; cases.len()];
    for _ in 0..40 {
        for ((_, f), best) in cases.iter_mut().zip(&mut best) {
            let n = 4000;
            let t = Instant::now();
            for _ in 0..n {
                f();
            }
            *best = best.min(t.elapsed().as_nanos() as f64 / f64::from(n));
        }
    }
    best
}

/// SHA-1 blocks, each waiting for the one before: the bound of one CM packet.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn chained_sha1(message: &[[u32; 16]], m: [u32; 4]) -> u32 {
    use std::arch::x86_64::*;
    let mut abcd = _mm_set_epi32(m[0] as i32, m[1] as i32, m[2] as i32, m[3] as i32);
    let mut e0 = _mm_set_epi32(m[0] as i32, 0, 0, 0);
    for block in message {
        // SAFETY: 64 readable bytes.
        let p: *const __m128i = block.as_ptr().cast();
        let mask = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let mut w = unsafe {
            [
                _mm_loadu_si128(p),
                _mm_loadu_si128(p.add(1)),
                _mm_loadu_si128(p.add(2)),
                _mm_loadu_si128(p.add(3)),
            ]
        };
        for w in &mut w {
            *w = _mm_shuffle_epi8(*w, mask);
        }
        let (save, esave) = (abcd, e0);
        let mut old = abcd;
        macro_rules! r {
            ($f:literal, $i:literal) => {
                for g in 0..5 {
                    let g = $i * 5 + g;
                    if g >= 4 {
                        w[g % 4] = _mm_sha1msg2_epu32(
                            _mm_xor_si128(
                                _mm_sha1msg1_epu32(w[g % 4], w[(g + 1) % 4]),
                                w[(g + 2) % 4],
                            ),
                            w[(g + 3) % 4],
                        );
                    }
                    let e = if g == 0 {
                        _mm_add_epi32(e0, w[0])
                    } else {
                        _mm_sha1nexte_epu32(old, w[g % 4])
                    };
                    old = abcd;
                    abcd = _mm_sha1rnds4_epu32::<$f>(abcd, e);
                }
            };
        }
        r!(0, 0);
        r!(1, 1);
        r!(2, 2);
        r!(3, 3);
        abcd = _mm_add_epi32(abcd, save);
        e0 = _mm_sha1nexte_epu32(old, esave);
    }
    _mm_extract_epi32::<0>(abcd) as u32
}

fn main() {
    let mut cases: Vec<Case> = Vec::new();
    for n in [4, 20] {
        // SAFETY: bench machine has SHA
        let message = vec![[7u32; 16]; n];
        let state = [1, 2, 3, 4];
        // SAFETY: this CPU has the SHA extensions.
        let run = move || {
            black_box(unsafe { chained_sha1(black_box(&message), black_box(state)) });
        };
        cases.push((format!("chained {n} SHA-1"), Box::new(run)));
    }
    for k in Kernels::usable() {
        if k.name() == "portable" {
            continue;
        }
        for payload in [20, 160, 1200] {
            let len = 12 + payload;
            let cm = AesCmHmacSha1::new(k, &[1; 16], &[2; 20]).unwrap();
            let src = vec![3u8; len];
            let mut dst = vec![0u8; len + 20];
            let (n, m, s) = (payload, k.name(), src.clone());
            cases.push((
                format!("{m} CM seal {n}"),
                Box::new(move || {
                    let t = cm.seal(&[5; 16], 12, black_box(&s), &mut dst, &[1; 4]);
                    dst[len..len + 10].copy_from_slice(&t[..10]);
                    black_box(&mut dst);
                }),
            ));
            let cm = AesCmHmacSha1::new(k, &[1; 16], &[2; 20]).unwrap();
            let mut sealed = src.clone();
            let tag = cm.seal_in_place(&[5; 16], 12, &mut sealed, &[1; 4]);
            let mut buf = sealed.clone();
            cases.push((
                format!("{m} CM copy+open {n}"),
                Box::new(move || {
                    buf.copy_from_slice(black_box(&sealed));
                    cm.open_in_place(&[5; 16], 12, &mut buf, &[1; 4], black_box(&tag[..10]))
                        .unwrap();
                    black_box(&mut buf);
                }),
            ));
            let gcm = AesGcm::new(k, &[1; 16]).unwrap();
            let mut dst = vec![0u8; len + 20];
            let s = src.clone();
            cases.push((
                format!("{m} GCM seal {n}"),
                Box::new(move || {
                    let t = gcm.seal(&[5; 12], 12, black_box(&s), &mut dst, &[]);
                    dst[len..len + 16].copy_from_slice(&t);
                    black_box(&mut dst);
                }),
            ));
            let gcm = AesGcm::new(k, &[1; 16]).unwrap();
            let mut sealed = src.clone();
            let tag = gcm.seal_in_place(&[5; 12], 12, &mut sealed, &[]);
            let mut buf = sealed.clone();
            cases.push((
                format!("{m} GCM copy+open {n}"),
                Box::new(move || {
                    buf.copy_from_slice(black_box(&sealed));
                    gcm.open_in_place(&[5; 12], 12, &mut buf, &[], black_box(&tag))
                        .unwrap();
                    black_box(&mut buf);
                }),
            ));
        }
        {
            let keys: Vec<_> = (0..16u8)
                .map(|i| AesCmHmacSha1::new(k, &[i; 16], &[2; 20]).unwrap())
                .collect();
            let src = vec![3u8; 172];
            let mut dst = vec![vec![0u8; 192]; 16];
            cases.push((
                format!("{} CM batch of 16 (per 16)", k.name()),
                Box::new(move || {
                    let mut jobs: Vec<_> = keys
                        .iter()
                        .zip(&mut dst)
                        .map(|(key, dst)| CmSeal {
                            key,
                            iv: [5; 16],
                            clear: 12,
                            packet: Packet::Copy { src: &src, dst },
                            trailer: [1; 4],
                            tag: [0; 20],
                        })
                        .collect();
                    AesCmHmacSha1::seal_batch(&mut jobs);
                    black_box(&jobs);
                }),
            ));
        }
        cases.push((
            format!("{} CM::new", k.name()),
            Box::new(move || {
                black_box(AesCmHmacSha1::new(k, black_box(&[1; 16]), &[2; 20]).unwrap());
            }),
        ));
        cases.push((
            format!("{} GCM::new", k.name()),
            Box::new(move || {
                black_box(AesGcm::new(k, black_box(&[1; 16])).unwrap());
            }),
        ));
        cases.push((
            format!("{} prf 6 labels", k.name()),
            Box::new(move || {
                let (mut a, mut b, mut c, mut d, mut e, mut f) = (
                    [0u8; 16], [0u8; 20], [0u8; 14], [0u8; 16], [0u8; 20], [0u8; 14],
                );
                aes_cm_prf(
                    k,
                    black_box(&[1; 16]),
                    &mut [
                        ([1; 16], &mut a),
                        ([1; 16], &mut b),
                        ([1; 16], &mut c),
                        ([1; 16], &mut d),
                        ([1; 16], &mut e),
                        ([1; 16], &mut f),
                    ],
                )
                .unwrap();
                black_box((a, b, c, d, e, f));
            }),
        ));
    }
    if let Ok(only) = std::env::var("ONLY") {
        cases.retain(|(name, _)| name.contains(&only));
    }
    let best = measure(&mut cases);
    for ((name, _), ns) in cases.iter().zip(best) {
        println!("{ns:8.1} ns  {name}");
    }
}
