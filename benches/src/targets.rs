//! What was wanted, beside what was reached.

use std::fmt::Write as _;

use crate::cases::{
    CHAIN_2, CHAIN_4, CHAIN_21, DISTRIBUTION, IPSEC_MB, ONE_BY_ONE, OPENSSL, OURS, OURS_BATCH,
};
use crate::level::level;
use crate::memory;

/// The least times that were measured, by group and name.
pub type Measured = Vec<(String, &'static str, f64)>;

/// Which CPUs it is wanted of: those whose level has it.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    All,
    /// SHA-1 is the CPU's.
    ShaNi,
    NoShaNi,
    /// AES and GHASH in wide vectors.
    Vaes,
}

impl Kind {
    fn is_this(self) -> bool {
        let has = |text| level().name().contains(text);
        match self {
            Kind::All => true,
            Kind::ShaNi => has("SHA-NI"),
            Kind::NoShaNi => !has("SHA-NI"),
            Kind::Vaes => has("VAES"),
        }
    }
}

enum Wanted {
    /// So many times as quick as this other one, or more.
    Times(&'static str, f64),
    /// Within this factor of a bound of the hardware.
    Bound(&'static str, f64),
}

use Kind::{All, NoShaNi, ShaNi, Vaes};
use Wanted::{Bound, Times};

/// The beginning of a group's name, whose time it is about, of which CPUs, what is wanted. A batch is never slower than its packets
/// one by one, but for what two measurements of the same differ by.
#[rustfmt::skip]
const TARGETS: &[(&str, &str, Kind, Wanted)] = &[
    ("AES_CM_128_HMAC_SHA1_80, 12 + 20 bytes, protect", OURS, ShaNi, Bound(CHAIN_2, 1.05)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 20 bytes, protect", OURS, ShaNi, Times(OPENSSL, 4.5)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 20 bytes, unprotect", OURS, ShaNi, Bound(CHAIN_2, 1.05)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 20 bytes, unprotect", OURS, ShaNi, Times(OPENSSL, 4.5)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, protect", OURS, ShaNi, Bound(CHAIN_4, 1.05)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, unprotect", OURS, ShaNi, Bound(CHAIN_4, 1.05)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 1200 bytes, protect", OURS, ShaNi, Bound(CHAIN_21, 1.05)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 1200 bytes, unprotect", OURS, ShaNi, Bound(CHAIN_21, 1.05)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, protect", OURS, NoShaNi, Times(OPENSSL, 1.5)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, unprotect", OURS, NoShaNi, Times(OPENSSL, 1.5)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, protect", OURS, ShaNi, Times(DISTRIBUTION, 12.0)),
    ("AEAD_AES_128_GCM, 12 + 160 bytes, protect", OURS, Vaes, Times(IPSEC_MB, 1.0)),
    ("AEAD_AES_128_GCM, 12 + 1200 bytes, protect", OURS, Vaes, Times(IPSEC_MB, 1.0)),
    ("AEAD_AES_128_GCM, 12 + 160 bytes, protect", OURS, Vaes, Times(OPENSSL, 9.0)),
    ("AEAD_AES_128_GCM, 12 + 160 bytes, unprotect", OURS, Vaes, Times(OPENSSL, 9.0)),
    ("AEAD_AES_256_GCM, 12 + 160 bytes, protect", OURS, Vaes, Times(OPENSSL, 8.0)),
    ("AEAD_AES_256_GCM, 12 + 160 bytes, unprotect", OURS, Vaes, Times(OPENSSL, 8.0)),
    ("AEAD_AES_128_GCM, 12 + 20 bytes, protect", OURS, Vaes, Times(OPENSSL, 14.0)),
    ("AEAD_AES_128_GCM, 12 + 20 bytes, unprotect", OURS, Vaes, Times(OPENSSL, 14.0)),
    ("AEAD_AES_128_GCM, 12 + 1200 bytes, protect", OURS, Vaes, Times(OPENSSL, 3.8)),
    ("AEAD_AES_128_GCM, 12 + 1200 bytes, unprotect", OURS, Vaes, Times(OPENSSL, 3.8)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, 16 sessions", OURS, All, Times(ONE_BY_ONE, 0.97)),
    ("AES_CM_128_HMAC_SHA1_80, 16 sessions, 12 + 160 bytes, unprotect", OURS, All, Times(ONE_BY_ONE, 0.97)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, 10000 live", OURS, ShaNi, Times(OPENSSL, 5.5)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, 10000 live", OURS_BATCH, ShaNi, Times(OPENSSL, 9.0)),
    ("AES_CM_128_HMAC_SHA1_80, 12 + 160 bytes, 10000 live", OURS_BATCH, All, Times(OURS, 1.0)),
    ("AES_CM_128_HMAC_SHA1_80, session set-up", OURS, All, Times(OPENSSL, 25.0)),
];

/// A call leg in memory (sending and receiving, RTP and RTCP), in bytes: a session and the boxes of its two keys.
const LEG: usize = 840 + 2 * 384;

/// Prints the table; returns it as members of a JSON array.
pub fn report(measured: &Measured) -> String {
    let find = |group: &str, name: &str| {
        let it = measured
            .iter()
            .find(|(g, n, _)| g.starts_with(group) && *n == name);
        it.map(|(_, _, least)| *least)
    };
    let mut rows = Vec::new();
    for (group, whose, kind, wanted) in TARGETS {
        if !kind.is_this() {
            continue;
        }
        let other = match wanted {
            Times(name, _) => find(group, name),
            Bound(name, _) => find("bounds", name),
        };
        // Not measured: a library that is not installed, a CPU without the instructions.
        let (Some(ours), Some(other)) = (find(group, whose), other) else {
            continue;
        };
        let (what, limit, reached, met) = match *wanted {
            Times(name, least) => (
                format!("times {name}"),
                least,
                other / ours,
                other / ours >= least,
            ),
            Bound(name, most) => (
                format!("of {name}"),
                most,
                ours / other,
                ours / other <= most,
            ),
        };
        let batch = if *whose == OURS { "" } else { ", batch call" };
        rows.push((format!("{group}{batch}"), what, limit, reached, met));
    }
    let leg = memory::call_leg();
    let limit = LEG as f64;
    for (what, bytes) in [
        ("bytes after set-up", leg.set_up),
        ("bytes after a packet each way", leg.used),
    ] {
        let row = (
            "AES_CM_128_HMAC_SHA1_80, a call leg".into(),
            what.into(),
            limit,
            bytes as f64,
            bytes <= LEG,
        );
        rows.push(row);
    }

    println!("\n{:<66} {:<40} {:>7} {:>8}", "wanted", "", "", "reached");
    let mut json = Vec::new();
    for (group, what, limit, reached, met) in rows {
        let mark = if met { "" } else { "  missed" };
        println!("{group:<66} {what:<40} {limit:>7.2} {reached:>8.2}{mark}");
        let mut row = String::new();
        let _ = write!(
            row,
            "\n    {{\"group\": \"{group}\", \"what\": \"{what}\", \"wanted\": {limit}, \"reached\": {reached:.3}, \"met\": {met}}}"
        );
        json.push(row);
    }
    json.join(",")
}
