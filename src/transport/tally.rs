//! Handshakes by what came of them, for the metrics.

use std::collections::BTreeMap;

use policy::exposition::Histogram;
use sip_tls::{Code, TlsInfo};

use crate::ffi::pjsip::transport::Direction;
use crate::ffi::sync::Mutex;

/// What came of a handshake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A connection.
    Done {
        /// `TLSv1.3`
        version: &'static str,
        /// The group of the key exchange; empty: none, or not known.
        group: String,
    },
    /// None: the code of the reason.
    Failed(&'static str),
}

/// Handshakes since the module was loaded.
#[derive(Debug, Clone)]
pub struct Tally {
    /// By direction (`true`: a peer has connected to us) and by what came of them.
    pub handshakes: BTreeMap<(bool, Outcome), u64>,
    /// Those that resumed a session, of peers and of ours.
    pub resumed: [u64; 2],
    /// How long those took that were done, of peers and of ours: without the TCP connection.
    pub times: [Histogram; 2],
}

/// A leaf among the locks.
static TALLY: Mutex<Tally> = Mutex::new(Tally {
    handshakes: BTreeMap::new(),
    resumed: [0; 2],
    times: [Histogram::new(); 2],
});

fn is_incoming(direction: Direction) -> bool {
    direction == Direction::Incoming
}

/// One is done.
pub fn done(direction: Direction, tls: &TlsInfo) {
    let is_incoming = is_incoming(direction);
    let outcome = Outcome::Done {
        version: tls.version,
        group: tls.group.clone().unwrap_or_default(),
    };
    let mut tally = TALLY.lock();
    *tally.handshakes.entry((is_incoming, outcome)).or_default() += 1;
    let side = usize::from(!is_incoming);
    tally.resumed[side] += u64::from(tls.resumed);
    tally.times[side].observe(tls.took);
}

/// One has failed, or did not begin.
pub fn failed(direction: Direction, code: Code) {
    let key = (is_incoming(direction), Outcome::Failed(code.facts().name));
    *TALLY.lock().handshakes.entry(key).or_default() += 1;
}

/// All of them.
pub fn tally() -> Tally {
    TALLY.lock().clone()
}
