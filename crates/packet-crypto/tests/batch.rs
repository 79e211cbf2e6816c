//! A batch gives what single calls on the portable level give: every level, batches of 0 to 40 packets, alike and mixed.

use packet_crypto::*;

fn bytes(seed: usize, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| ((seed * 7919 + i * 104_729 + (i * i) / 7) >> 3) as u8)
        .collect()
}

/// Packet lengths of a batch of `n`: all alike, or mixed (which also leaves lanes done before the others).
fn lengths(n: usize, mixed: bool) -> Vec<usize> {
    let some = [
        172, 12, 32, 1212, 172, 63, 64, 173, 0, 51, 55, 115, 116, 255, 90, 700, 13, 1400,
    ];
    (0..n)
        .map(|i| {
            if mixed {
                some[(i * 5 + n) % some.len()]
            } else {
                172
            }
        })
        .collect()
}

/// Numbers of packets in a batch. Miri takes seconds for what takes microseconds.
fn sizes() -> impl Iterator<Item = usize> {
    let most = if cfg!(miri) { 3 } else { 40 };
    (0..=18)
        .chain([31, 32, 33, 40])
        .take_while(move |n| *n <= most)
}

#[test]
fn cm() {
    for k in Kernels::usable() {
        for n in sizes() {
            for mixed in [false, true] {
                let lens = lengths(n, mixed);
                let material = |i: usize| (bytes(i, [16, 24, 32][i % 3]), bytes(i + 99, 20));
                let keys: Vec<_> = (0..n)
                    .map(|i| {
                        let (cipher, auth) = material(i / 2);
                        AesCmHmacSha1::new(k, &cipher, auth[..].try_into().unwrap()).unwrap()
                    })
                    .collect();
                let iv = |i: usize| <[u8; 16]>::try_from(bytes(i + 5, 16)).unwrap();
                let trailer = |i: usize| (i as u32).to_be_bytes();
                let clear = |i: usize| lens[i].min([12, 16, 40, 0][i % 4]);
                let plain: Vec<_> = (0..n).map(|i| bytes(i + 1000, lens[i])).collect();

                let soft = Kernels::by_name("portable").unwrap();
                let expected: Vec<_> = (0..n)
                    .map(|i| {
                        let (cipher, auth) = material(i / 2);
                        let key = AesCmHmacSha1::new(soft, &cipher, auth[..].try_into().unwrap())
                            .unwrap();
                        let mut packet = plain[i].clone();
                        let tag = key.seal_in_place(&iv(i), clear(i), &mut packet, &trailer(i));
                        (packet, tag)
                    })
                    .collect();

                let mut sealed: Vec<_> = (0..n)
                    .map(|i| {
                        if i % 2 == 0 {
                            plain[i].clone()
                        } else {
                            vec![0xa5; lens[i] + 24]
                        }
                    })
                    .collect();
                let mut jobs: Vec<_> = sealed
                    .iter_mut()
                    .enumerate()
                    .map(|(i, buffer)| CmSeal {
                        key: &keys[i],
                        iv: iv(i),
                        clear: clear(i),
                        packet: if i % 2 == 0 {
                            Packet::InPlace(buffer)
                        } else {
                            Packet::Copy {
                                src: &plain[i],
                                dst: buffer,
                            }
                        },
                        trailer: trailer(i),
                        tag: [0; 20],
                    })
                    .collect();
                AesCmHmacSha1::seal_batch(&mut jobs);
                let tags: Vec<_> = jobs.iter().map(|job| job.tag).collect();
                for i in 0..n {
                    let (packet, tag) = &expected[i];
                    let what = format!("{} packet {i} of {n}, {} bytes", k.name(), lens[i]);
                    assert_eq!(&tags[i], tag, "{what}");
                    assert!(sealed[i][..lens[i]] == packet[..], "{what}");
                    assert!(
                        sealed[i][lens[i]..].iter().all(|b| *b == 0xa5),
                        "{what}: written behind the packet"
                    );
                }

                // Every third tag is wrong in one bit; the last lengths are ones that do not exist.
                let forged = |i: usize| i % 3 == 1;
                let wrong: Vec<_> = (0..n)
                    .map(|i| {
                        let mut tag = tags[i][..if i % 2 == 0 { 10 } else { 4 }].to_vec();
                        if forged(i) {
                            if i % 4 == 1 {
                                tag.truncate(3)
                            } else {
                                tag[3] ^= 0x10
                            }
                        }
                        tag
                    })
                    .collect();
                let mut opened: Vec<_> =
                    expected.iter().map(|(packet, _)| packet.clone()).collect();
                let mut jobs: Vec<_> = opened
                    .iter_mut()
                    .enumerate()
                    .map(|(i, packet)| CmOpen {
                        key: &keys[i],
                        iv: iv(i),
                        clear: clear(i),
                        packet,
                        trailer: trailer(i),
                        tag: &wrong[i],
                        result: Ok(()),
                    })
                    .collect();
                AesCmHmacSha1::open_batch(&mut jobs);
                let results: Vec<_> = jobs.iter().map(|job| job.result.is_ok()).collect();
                for i in 0..n {
                    let what = format!("{} packet {i} of {n}, {} bytes", k.name(), lens[i]);
                    assert_eq!(results[i], !forged(i), "{what}");
                    assert!(
                        opened[i]
                            == if forged(i) {
                                &expected[i].0[..]
                            } else {
                                &plain[i][..]
                            },
                        "{what}"
                    );
                }
            }
        }
    }
}

#[test]
fn gcm() {
    for k in Kernels::usable() {
        for n in sizes().filter(|n| [0, 1, 2, 9, 33].contains(n)) {
            let lens = lengths(n, true);
            let keys: Vec<_> = (0..n)
                .map(|i| AesGcm::new(k, &bytes(i, [16, 32][i % 2])).unwrap())
                .collect();
            let nonce = |i: usize| <[u8; 12]>::try_from(bytes(i + 5, 12)).unwrap();
            let clear = |i: usize| lens[i].min([12, 16, 40, 0][i % 4]);
            let trailer: &[u8] = if n % 2 == 0 { &[] } else { &[1, 2, 3, 4] };
            let plain: Vec<_> = (0..n).map(|i| bytes(i + 1000, lens[i])).collect();

            let mut sealed: Vec<_> = plain.iter().map(|p| vec![0xa5; p.len() + 24]).collect();
            let mut jobs: Vec<_> = sealed
                .iter_mut()
                .enumerate()
                .map(|(i, dst)| GcmSeal {
                    key: &keys[i],
                    nonce: nonce(i),
                    clear: clear(i),
                    packet: Packet::Copy {
                        src: &plain[i],
                        dst,
                    },
                    trailer,
                    tag: [0; 16],
                })
                .collect();
            AesGcm::seal_batch(&mut jobs);
            let tags: Vec<_> = jobs.iter().map(|job| job.tag).collect();
            for i in 0..n {
                let mut packet = plain[i].clone();
                assert_eq!(
                    keys[i].seal_in_place(&nonce(i), clear(i), &mut packet, trailer),
                    tags[i]
                );
                assert!(sealed[i][..lens[i]] == packet[..]);
                assert!(sealed[i][lens[i]..].iter().all(|b| *b == 0xa5));
            }

            let forged = |i: usize| i % 3 == 1;
            let mut wrong = tags.clone();
            (0..n)
                .filter(|i| forged(*i))
                .for_each(|i| wrong[i][15] ^= 1);
            let mut opened: Vec<_> = (0..n).map(|i| sealed[i][..lens[i]].to_vec()).collect();
            let mut jobs: Vec<_> = opened
                .iter_mut()
                .enumerate()
                .map(|(i, packet)| GcmOpen {
                    key: &keys[i],
                    nonce: nonce(i),
                    clear: clear(i),
                    packet,
                    trailer,
                    tag: &wrong[i],
                    result: Ok(()),
                })
                .collect();
            AesGcm::open_batch(&mut jobs);
            let results: Vec<_> = jobs.iter().map(|job| job.result.is_ok()).collect();
            for i in 0..n {
                assert_eq!(results[i], !forged(i));
                assert!(
                    opened[i]
                        == if forged(i) {
                            &sealed[i][..lens[i]]
                        } else {
                            &plain[i][..]
                        }
                );
            }
        }
    }
}
