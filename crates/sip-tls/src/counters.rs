//! What the engine counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::code::Code;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The running counters; they only grow, except `open`.
        #[derive(Debug)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
            /// The handles of connections have it too, and may outlive the engine.
            pub(crate) refused: Arc<AtomicU64>,
            ended: Vec<AtomicU64>,
        }

        /// A reading of a pool's counters.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
            /// Messages not taken to be sent, because too many waited.
            pub refused: u64,
            /// How often connections and handshakes ended for each reason, those that never did left out.
            pub ended: Vec<(Code, u64)>,
        }

        impl Counters {
            pub(crate) fn new() -> Self {
                Counters {
                    $($name: AtomicU64::new(0),)*
                    refused: Arc::default(),
                    ended: Code::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
                }
            }

            pub(crate) fn read(&self) -> Counts {
                let ended = Code::ALL.iter().zip(&self.ended).map(|(&code, count)| (code, count.load(Relaxed)));
                Counts {
                    $($name: self.$name.load(Relaxed),)*
                    refused: self.refused.load(Relaxed),
                    ended: ended.filter(|(_, count)| *count > 0).collect(),
                }
            }
        }
    };
}

counters! {
    /// TCP connections accepted.
    accepted,
    /// Handshakes finished by clients.
    established_in,
    /// Handshakes finished by us as client.
    established_out,
    /// Sessions resumed by clients.
    resumed,
    /// Connections that are open or in their handshake now.
    open,
    /// SIP messages received.
    messages_in,
    /// SIP messages written.
    messages_out,
    /// Plaintext bytes received, keepalives included.
    bytes_in,
    /// Plaintext bytes of SIP messages written.
    bytes_out,
    /// Keepalives answered.
    pings,
    /// Bytes received that belonged to no message, keepalives that were answered left out.
    skipped,
    /// Messages, and runs of what is none, that were not handed on.
    faults,
    /// How often a connection was not read for a while, because too much was to be written to it or answered.
    pauses,
    /// How often an I/O loop failed and was to start again.
    loop_restarts,
}

impl Counters {
    pub(crate) fn ended(&self, code: Code) {
        self.ended[code as usize].fetch_add(1, Relaxed);
    }
}

pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Relaxed);
}

impl Counts {
    /// How often connections and handshakes ended for `code`.
    #[must_use]
    pub fn of(&self, code: Code) -> u64 {
        self.ended
            .iter()
            .find(|(other, _)| *other == code)
            .map_or(0, |(_, count)| *count)
    }
}
