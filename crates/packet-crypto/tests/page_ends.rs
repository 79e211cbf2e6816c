//! Every level with what it is given at the very end of readable memory, and at its very beginning: a byte read or written outside
//! ends the test by SIGSEGV. Run with `--nocapture` it says at which level and length that was.
#![cfg(target_os = "linux")]

use std::slice;

use packet_crypto::{AesCmHmacSha1, AesGcm, Kernels, PayloadHash, aes_cm_prf};

/// Memory between two pages that nobody may access.
struct Fenced {
    start: *mut u8,
    len: usize,
}

impl Fenced {
    const FENCE: usize = 1 << 16;

    /// `len` bytes at least, in whole pages.
    fn new(len: usize) -> Self {
        // A page has at most so many bytes.
        let len = len.next_multiple_of(Self::FENCE);
        let (none, anonymous) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping of its own; of it, what is between the fences becomes accessible.
        unsafe {
            let whole = libc::mmap(
                std::ptr::null_mut(),
                len + 2 * Self::FENCE,
                none,
                anonymous,
                -1,
                0,
            );
            assert_ne!(whole, libc::MAP_FAILED);
            let start = whole.cast::<u8>().add(Self::FENCE);
            let access = libc::PROT_READ | libc::PROT_WRITE;
            assert_eq!(libc::mprotect(start.cast(), len, access), 0);
            Self { start, len }
        }
    }

    /// `bytes` where nothing is before or behind them.
    fn put(&mut self, at: At, bytes: &[u8]) -> &mut [u8] {
        assert!(bytes.len() <= self.len);
        let offset = match at {
            At::Beginning => 0,
            At::End => self.len - bytes.len(),
        };
        // SAFETY: so many bytes are inside, from `offset` on, and are borrowed as `self` is.
        let place = unsafe { slice::from_raw_parts_mut(self.start.add(offset), bytes.len()) };
        place.copy_from_slice(bytes);
        place
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, which nobody borrows any more.
        unsafe {
            libc::munmap(
                self.start.sub(Self::FENCE).cast(),
                self.len + 2 * Self::FENCE,
            )
        };
    }
}

#[derive(Clone, Copy)]
enum At {
    Beginning,
    End,
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 151 + i / 256 + len) as u8).collect()
}

/// Whether everything is done with each length: too slow where nothing is optimised.
const ALL: bool = !cfg!(debug_assertions);

/// Every length of a few vectors of the widest level, then each remainder a few times.
fn lengths() -> impl Iterator<Item = usize> {
    (0..150).chain((150..2100).step_by(if ALL { 1 } else { 61 }))
}

/// All choices, or one of them, which depends on the length.
fn choices<const N: usize>(len: usize, of: [usize; N]) -> impl Iterator<Item = usize> {
    let chosen = move |(n, _): &(usize, usize)| ALL || len % N == *n;
    of.into_iter()
        .enumerate()
        .filter(chosen)
        .map(|(_, choice)| choice)
}

/// How many bytes stay clear: a header, none, all.
fn clear_of(len: usize) -> impl Iterator<Item = usize> {
    choices(len, [len.min(12), 0, len.min(12), len])
}

/// Bytes of a key.
const KEYS_CM: [usize; 3] = [16, 24, 32];
const KEYS_GCM: [usize; 2] = [16, 32];

/// An IV whose counter wraps in the packet, as an SRTP packet's never does.
const IV: [u8; 16] = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 0xff, 0xff, 0xff, 0xfe];

struct Places {
    src: Fenced,
    dst: Fenced,
    small: Fenced,
}

impl Places {
    fn new(longest: usize) -> Self {
        Self {
            src: Fenced::new(longest),
            dst: Fenced::new(longest),
            small: Fenced::new(64),
        }
    }
}

fn portable() -> &'static Kernels {
    Kernels::by_name("portable").expect("always there")
}

/// One length at both ends, against the portable level in memory that has room on both sides.
fn aes_cm(k: &'static Kernels, key_len: usize, len: usize, places: &mut Places) {
    let Places { src, dst, small } = places;
    let (plain, trailer) = (bytes(len), [1, 2, 3, 4]);
    let (key, auth) = (bytes(key_len), [5; 20]);
    let reference = AesCmHmacSha1::new(portable(), &key, &auth).unwrap();
    let key = AesCmHmacSha1::new(k, small.put(At::End, &key), &auth).unwrap();
    for clear in clear_of(len) {
        let mut sealed = plain.clone();
        let tag = reference.seal_in_place(&IV, clear, &mut sealed, &trailer);
        for (at, other) in [(At::End, At::Beginning), (At::Beginning, At::End)] {
            let (from, to) = (src.put(at, &plain), dst.put(other, &plain));
            assert_eq!(key.seal(&IV, clear, from, to, &trailer), tag);
            assert!(*to == sealed);

            let packet = src.put(at, &plain);
            assert_eq!(key.seal_in_place(&IV, clear, packet, &trailer), tag);
            assert!(*packet == sealed);

            let mut short = tag;
            short[9] ^= 1;
            let wrong = small.put(at, &short[..10]);
            let opened = key.open_in_place(&IV, clear, packet, &trailer, wrong);
            assert!(opened.is_err() && *packet == sealed);
            let right = small.put(at, &tag[..10]);
            let opened = key.open_in_place(&IV, clear, packet, &trailer, right);
            assert!(opened.is_ok() && *packet == plain);
        }
    }
}

fn aes_gcm(k: &'static Kernels, key_len: usize, len: usize, places: &mut Places) {
    let Places { src, dst, small } = places;
    let (plain, nonce, key) = (bytes(len), [7; 12], bytes(key_len));
    let reference = AesGcm::new(portable(), &key).unwrap();
    let key = AesGcm::new(k, small.put(At::End, &key)).unwrap();
    let mut trailers = Fenced::new(64);
    for clear in clear_of(len) {
        for trailer_len in choices(len / 4, [0, 4, 17]) {
            let trailer = bytes(trailer_len);
            let mut sealed = plain.clone();
            let tag = reference.seal_in_place(&nonce, clear, &mut sealed, &trailer);
            for (at, other) in [(At::End, At::Beginning), (At::Beginning, At::End)] {
                let trailer = trailers.put(at, &trailer);
                let (from, to) = (src.put(at, &plain), dst.put(other, &plain));
                assert_eq!(key.seal(&nonce, clear, from, to, trailer), tag);
                assert!(*to == sealed);

                let packet = src.put(at, &plain);
                assert_eq!(key.seal_in_place(&nonce, clear, packet, trailer), tag);
                assert!(*packet == sealed);

                let mut short = tag;
                short[7] ^= 1;
                let wrong = small.put(at, &short[..8]);
                let opened = key.open_in_place(&nonce, clear, packet, trailer, wrong);
                assert!(opened.is_err() && *packet == sealed);
                let right = small.put(at, &tag[..8]);
                let opened = key.open_in_place(&nonce, clear, packet, trailer, right);
                assert!(opened.is_ok() && *packet == plain);
            }
        }
    }
}

/// Ours; OpenSSL reads what it is given by its own rules.
fn levels() -> impl Iterator<Item = &'static Kernels> {
    Kernels::usable().filter(|k| k.name() != "system")
}

#[test]
fn packets() {
    let mut places = Places::new(2100);
    for k in levels() {
        for (n, len) in lengths().enumerate() {
            println!("{}, {len} bytes", k.name());
            aes_cm(k, KEYS_CM[n % 3], len, &mut places);
            aes_gcm(k, KEYS_GCM[n % 2], len, &mut places);
        }
    }
}

/// As long as a datagram, and longer.
#[test]
fn big_packets() {
    const LENGTHS: [usize; 4] = [4096, 9001, 65_535, 70_000];
    let lengths = LENGTHS.into_iter().skip(if ALL { 0 } else { 2 });
    let mut places = Places::new(70_000);
    for k in levels() {
        for (n, len) in lengths.clone().enumerate() {
            println!("{}, {len} bytes", k.name());
            aes_cm(k, KEYS_CM[n % 3], len, &mut places);
            aes_gcm(k, KEYS_GCM[n % 2], len, &mut places);
        }
    }
}

#[test]
fn hashes_and_keys() {
    let mut place = Fenced::new(2100);
    for k in levels() {
        println!("{}", k.name());
        let (hash, reference) = (
            PayloadHash::new(k, &[3; 8]),
            PayloadHash::new(portable(), &[3; 8]),
        );
        for len in lengths() {
            let payload = bytes(len);
            let expected = reference.of(&payload);
            for at in [At::Beginning, At::End] {
                assert_eq!(hash.of(place.put(at, &payload)), expected, "{len}");
            }
        }
        for (key_len, count) in KEYS_CM.into_iter().zip([1, 5, 12]) {
            let key = bytes(key_len);
            let (mut expected, mut blocks) = (vec![6; count], vec![6; count]);
            aes_cm_prf(portable(), &key, &mut expected).unwrap();
            for at in [At::Beginning, At::End] {
                blocks.fill(6);
                aes_cm_prf(k, place.put(at, &key), &mut blocks).unwrap();
                assert_eq!(blocks, expected);
            }
        }
    }
}

/// Tags of every length: whole ones open, and each bit of them counts.
#[test]
fn tags() {
    let (mut place, plain) = (Fenced::new(64), bytes(40));
    for k in levels() {
        println!("{}", k.name());
        let cm = AesCmHmacSha1::new(k, &bytes(16), &[5; 20]).unwrap();
        let gcm = AesGcm::new(k, &bytes(16)).unwrap();
        let mut packet = plain.clone();
        let tag = cm.seal_in_place(&IV, 12, &mut packet, &[0; 4]);
        let sealed = packet.clone();
        for len in 4..=20 {
            for bit in 0..8 * len {
                let tag = place.put(At::End, &tag[..len]);
                tag[bit / 8] ^= 1 << (bit % 8);
                let opened = cm.open_in_place(&IV, 12, &mut packet, &[0; 4], tag);
                assert!(opened.is_err() && packet == sealed, "{len}, bit {bit}");
            }
            let tag = place.put(At::End, &tag[..len]);
            let opened = cm.open_in_place(&IV, 12, &mut packet, &[0; 4], tag);
            assert!(opened.is_ok() && packet == plain, "{len}");
            packet.copy_from_slice(&sealed);
        }
        let mut packet = plain.clone();
        let tag = gcm.seal_in_place(&[7; 12], 12, &mut packet, &[]);
        let sealed = packet.clone();
        for len in [8, 16] {
            for bit in 0..8 * len {
                let tag = place.put(At::End, &tag[..len]);
                tag[bit / 8] ^= 1 << (bit % 8);
                let opened = gcm.open_in_place(&[7; 12], 12, &mut packet, &[], tag);
                assert!(opened.is_err() && packet == sealed, "{len}, bit {bit}");
            }
            let tag = place.put(At::End, &tag[..len]);
            let opened = gcm.open_in_place(&[7; 12], 12, &mut packet, &[], tag);
            assert!(opened.is_ok() && packet == plain, "{len}");
            packet.copy_from_slice(&sealed);
        }
    }
}

/// That the fences are there: a process that reads a byte behind the end, or before the beginning, is ended by SIGSEGV.
#[test]
fn outside_of_the_fences() {
    let mut place = Fenced::new(1);
    place.put(At::End, &[7]);
    let len = place.len as isize;
    let outside = (true, libc::SIGSEGV);
    for (offset, ended) in [(-1, outside), (len, outside), (len - 1, (false, 7))] {
        // SAFETY: the child reads a byte and ends: nothing that another thread of the parent may be at.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork");
        if child == 0 {
            // SAFETY: the last byte of the three is readable; to read one of the others is to end the process.
            unsafe { libc::_exit(place.start.offset(offset).read_volatile().into()) };
        }
        let mut status = 0;
        // SAFETY: the child is this process's, and `status` is written.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        let got = match libc::WIFSIGNALED(status) {
            true => (true, libc::WTERMSIG(status)),
            false => (false, libc::WEXITSTATUS(status)),
        };
        assert_eq!(got, ended, "at {offset}");
    }
}
