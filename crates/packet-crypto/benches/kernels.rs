//! Nanoseconds per packet of every level that this CPU has, least of many turns: `cargo bench -p packet-crypto`. `ONLY=text`
//! selects. What others need for the same is compared by `make bench`.
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

fn main() {
    let mut cases: Vec<Case> = Vec::new();
    for k in Kernels::usable() {
        for payload in [20, 160, 320, 640, 1200] {
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
        // How many packets it takes for a batch to be hashed in lanes is decided by these.
        for count in [3, 4, 5, 6, 7, 8, 9, 10, 12, 16] {
            let keys: Vec<_> = (0..count)
                .map(|i| AesCmHmacSha1::new(k, &[i; 16], &[2; 20]).unwrap())
                .collect();
            let src = vec![3u8; 172];
            let mut dst = vec![vec![0u8; 192]; usize::from(count)];
            cases.push((
                format!("{} CM batch of {count}, all", k.name()),
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
            format!("{} prf 12 blocks", k.name()),
            Box::new(move || {
                let mut blocks = black_box([3; 12]);
                aes_cm_prf(k, black_box(&[1; 16]), &mut blocks).unwrap();
                black_box(blocks);
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
